"""The papers of the workshop: minutes that add up, and exercises, lessons, pages, clips and commands that exist."""

import itertools
import re
import shlex

import pytest
from typer.main import get_command

from q2a_core import paths
from q2a_core.cli import app
from q2a_core.teaching.checks import exercises_of
from q2a_core.teaching.course import (
    BREAK,
    LESSONS,
    QUIZ,
    lesson,
    solution_notebook,
    workshop,
)

KIT = paths.notebooks() / "workshop"
PAPERS = {path.stem: path.read_text("utf-8") for path in sorted(KIT.glob("*.md"))}
IN_CLASS = [item for item in LESSONS if item.class_minutes]
MUST = 4
"""Exercises of this importance and above should be done in class."""


def timetable(name: str) -> list[tuple[int, int, str]]:
    """Begin, end and second column of a paper's table of minutes."""
    rows = re.findall(r"^\| (\d+)-(\d+) \| ([^|]+?) \|", PAPERS[name], re.MULTILINE)
    return [(int(begin), int(end), what) for begin, end, what in rows]


def test_the_kit_is_whole():
    assert set(PAPERS) == {"AGENDA", "DEMO_45", "INSTRUCTOR"}


def test_the_course_fits_the_day():
    blocks = workshop()
    assert sum(block.minutes for block in blocks) == 180
    lessons = [block.what for block in blocks if block.what not in (BREAK, QUIZ)]
    assert lessons == [f"{number:02d}" for number in range(8)]
    assert [block.what for block in blocks].count(BREAK) == 2
    assert blocks[-1].what == QUIZ


def test_the_agenda_is_the_course():
    """Row by row: minutes, order and titles stand in course.py too, and the two agree."""
    names = {BREAK: "Break", QUIZ: "Exit quiz"}
    now, due = 0, []
    for block in workshop():
        name = names.get(block.what) or f"{block.what} {lesson(block.what).title}"
        due.append((now, now + block.minutes, name))
        now += block.minutes
    assert timetable("AGENDA") == due


def test_the_demo_takes_its_45_minutes():
    rows = timetable("DEMO_45")
    assert rows[0][0] == 0
    assert rows[-1][1] == 45
    assert all(
        before[1] == after[0] and after[0] < after[1] for before, after in itertools.pairwise(rows)
    )
    pages = {path.stem for path in (paths.workbench() / "app_pages").glob("*.py")}
    assert {what.lower() for *_, what in rows} <= pages


def test_every_lesson_has_its_notes():
    sections = re.split(r"^## ", PAPERS["INSTRUCTOR"], flags=re.MULTILINE)[1:]
    found = {section.split(" · ")[0]: section for section in sections}
    for item in IN_CLASS:
        section = found[item.number]
        assert section.splitlines()[0] == f"{item.number} · {item.title}"
        for part in ("**Usual mistakes.**", "**Say.**", "**Half the room", "**Late? Cut**"):
            assert part in section, f"lesson {item.number} lacks {part}"
        elsewhere = set(re.findall(r"`(\d\d)\.[a-z_]+`", section)) - {item.number}
        assert not elsewhere, "notes name exercises of another lesson"


@pytest.mark.parametrize("name", PAPERS)
def test_exercises_that_are_named_exist(name):
    """Wherever the lesson is there."""
    named = re.findall(r"\b(0\d)\.([a-z_]+)\b", PAPERS[name])
    for number, exercise in named:
        known = {item.id for item in exercises_of(number)}
        assert not known or f"{number}.{exercise}" in known


@pytest.mark.parametrize("item", IN_CLASS, ids=lambda item: item.stem)
def test_what_must_be_done_in_class_is_in_the_notes_and_fits_its_block(item):
    must = [exercise for exercise in exercises_of(item.number) if exercise.importance >= MUST]
    assert sum(exercise.minutes for exercise in must) < item.class_minutes
    for exercise in must:
        assert f"`{exercise.id}`" in PAPERS["INSTRUCTOR"]


@pytest.mark.parametrize("name", PAPERS)
def test_clips_links_and_commands_exist(name):
    text = PAPERS[name]
    for clip in re.findall(r"`(\w+\.wav)`", text):
        assert (paths.data_samples() / "clips" / clip).is_file(), clip
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (KIT / target).is_file(), target
    for command in re.findall(r"`(q2a [^`]+)`", text):
        words = shlex.split(command)[1:]
        found = get_command(app)
        while words and hasattr(found, "commands"):
            found, words = found.commands[words[0]], words[1:]
        options = {option for parameter in found.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= options, command


def test_solutions_lie_where_the_agenda_says():
    assert "`notebooks/solutions/`" in PAPERS["AGENDA"]
    assert solution_notebook(lesson(0)).parent.name == "solutions"
