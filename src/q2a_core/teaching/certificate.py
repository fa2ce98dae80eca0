"""A local certificate: the exercises that passed, the quiz, and a fingerprint over both.

The fingerprint is a SHA-256 of the record that stands in the file. It shows whether a certificate was changed after it
was written; it proves nothing about who wrote it, for anybody can compute one.
"""

import hashlib
import html
import json
import re
import time
from pathlib import Path
from typing import Any

from q2a_core import __version__, paths
from q2a_core.errors import Q2AError
from q2a_core.files import write_whole
from q2a_core.teaching.certificate_record import record_fault
from q2a_core.teaching.checks import exercises_of
from q2a_core.teaching.course import LESSONS
from q2a_core.teaching.page import Page, Section, Table, Verbatim
from q2a_core.teaching.progress import passed_exercises
from q2a_core.teaching.quiz.exit_quiz import graded, kept_answers

NEEDED = 0.8
"""Share of the class lessons' checks; lessons for home are listed and not asked for."""
MOST_NAME = 80
COURSE = "q2a"
NOTICE = (
    "The fingerprint is a SHA-256 of the record below. It shows whether this file was changed after it was written. "
    "It is no proof of identity: whoever has the program can make one."
)


def class_exercises() -> list[str]:
    """Exercises of the lessons that are taught in class."""
    taught = [item for item in LESSONS if item.class_minutes]
    return [exercise.id for item in taught for exercise in exercises_of(item.number)]


def new_record(name: str = "") -> dict[str, Any]:
    """What a certificate would say now. Raises Q2AError while fewer than NEEDED of the class's checks have passed."""
    name = " ".join(name.split())
    if len(name) > MOST_NAME or not name.isprintable():
        raise Q2AError(
            f"the name is too long or cannot be printed; expected up to {MOST_NAME} characters"
        )
    done = passed_exercises()
    asked = class_exercises()
    passed = [exercise for exercise in asked if exercise in done]
    needed = -(-len(asked) * round(100 * NEEDED) // 100)
    if len(passed) < needed or not asked:
        open_ones = [exercise for exercise in asked if exercise not in done]
        raise Q2AError(
            f"{len(passed)} of {len(asked)} checks of the class's lessons have passed, and a certificate needs "
            f"{needed} ({NEEDED:.0%}); still open: {', '.join(open_ones) or 'nothing to check yet'}. "
            "Open a lesson with q2a lesson open N"
        )
    known = {e.id for item in LESSONS for e in exercises_of(item.number)}
    answers = kept_answers()
    quiz = graded(answers)
    return {
        "course": COURSE,
        "version": __version__,
        "name": name,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "passed": sorted(exercise for exercise in done if exercise in known),
        "class_checks": {"passed": len(passed), "of": len(asked)},
        "quiz": {"right": quiz.right, "of": quiz.total} if answers else None,
    }


def fingerprint(record: dict[str, Any]) -> str:
    """SHA-256 of a record, in 64 hex digits; the order of its keys does not matter."""
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def certificate_text(record: dict[str, Any], *, as_html: bool) -> str:
    """The whole file."""
    page = _page(record)
    return page.html() if as_html else page.markdown()


def write_certificate(name: str = "", path: Path | None = None) -> Path:
    """Write the certificate, HTML unless the path ends in .md; by default into the lessons folder.

    Only a certificate is written over. Raises Q2AError.
    """
    path = path or paths.lessons_dir() / "certificate.html"
    if path.suffix not in (".md", ".html"):
        raise Q2AError(f"{path.name} ends in {path.suffix!r}; expected .html or .md")
    text = certificate_text(new_record(name), as_html=path.suffix == ".html")
    if path.exists() and not _is_certificate(path):
        raise Q2AError(
            f"{path} is there and is no certificate, so it is left alone; expected a new file, or a certificate to "
            "write over: choose another --output"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise Q2AError(f"{path} cannot be written: {error.strerror}") from error
    return path


def verify(path: Path) -> dict[str, Any]:
    """The record of a certificate that is as it was written. Raises Q2AError, saying what does not fit."""
    try:
        text = path.read_text("utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Q2AError(f"{path.name} cannot be read: {error}; expected a certificate") from error
    is_html = text.startswith("<!doctype html>")
    record, printed = _parts(text, is_html)
    if record is None or printed is None:
        raise Q2AError(
            f"{path.name} is no certificate: no record, or no fingerprint, is in it; q2a lesson certificate writes one"
        )
    found = fingerprint(record)
    if found != printed:
        raise Q2AError(
            f"{path.name} was changed: its record gives the fingerprint {found[:16]}..., "
            f"and {printed[:16]}... is printed"
        )
    impossible = record_fault(record)
    if impossible:
        raise Q2AError(f"{path.name} fits its fingerprint, but tells what cannot be: {impossible}")
    whole = certificate_text(record, as_html=is_html)
    if whole != text:
        raise Q2AError(
            f"the record in {path.name} fits its fingerprint, but the page around it is not the one that belongs to "
            "it: the page was changed, or another version of the program wrote it"
        )
    return record


def _is_certificate(path: Path) -> bool:
    """Whether a file looks like one that this module wrote, of whatever version and whether changed or not."""
    try:
        text = path.read_text("utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError):
        return False
    record, printed = _parts(text, text.startswith("<!doctype html>"))
    return record is not None and printed is not None and record.get("course") == COURSE


def _parts(text: str, is_html: bool) -> tuple[dict[str, Any] | None, str | None]:
    """Record and printed fingerprint; None for what is not there."""
    blocks = re.findall(r"<pre>(.*?)</pre>" if is_html else r"```\n(.*?)\n```", text, re.DOTALL)
    if len(blocks) != 2:
        return None, None
    printed, body = (html.unescape(block) if is_html else block for block in blocks)
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(record, dict) or not re.fullmatch(r"[0-9a-f]{64}", printed):
        return None, None
    return record, printed


def _page(record: dict[str, Any]) -> Page:
    quiz, checks = record["quiz"], record["class_checks"]
    rows = tuple(
        (item.number, item.title, ", ".join(names))
        for item in LESSONS
        if (names := [name for name in record["passed"] if name.startswith(f"{item.number}.")])
    )
    score = f"{quiz['right']} of {quiz['of']} questions right" if quiz else "not taken"
    return Page(
        title="q2a: Qwen2-Audio from the inside",
        sections=(
            Section(
                heading=record["name"] or "Without a name",
                parts=(
                    f"{checks['passed']} of {checks['of']} checks of the class's lessons passed; exit quiz: {score}. "
                    f"{record['date']}, q2a {record['version']}.",
                ),
            ),
            Section(
                heading="Exercises that passed",
                parts=(Table(header=("lesson", "title", "exercises"), rows=rows),),
            ),
            Section(heading="Fingerprint", parts=(NOTICE, Verbatim(text=fingerprint(record)))),
            Section(
                heading="Record",
                parts=(
                    "Check it with: q2a lesson certificate --verify FILE",
                    Verbatim(text=json.dumps(record, indent=1, ensure_ascii=False)),
                ),
            ),
        ),
    )
