"""The truth about a folder of recordings: a manifest with one JSON object in each line.

    {"file": "a.wav", "task": "transcribe", "text": "seven red cups", "language": "en"}
    {"file": "b.wav", "task": "sound", "label": "dog"}
    {"file": "c.wav", "task": "question", "answer": "twice", "prompt": "How many times does the dog bark?"}

`text`, `label` and `answer` are one field under three names. Without a prompt the task's own is asked; a question
without one is spoken in the clip itself. Further keys, such as a licence, are left alone. Lines that `q2a synth` wrote
are understood as they are.
"""

import difflib
import json
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q2a_core.errors import Q2AError
from q2a_core.evaluation.world_lines import plain_line
from q2a_core.world import wordings

PROMPTS: dict[str, str | None] = {
    "transcribe": wordings.PROMPTS["transcribe"].official,
    "translate": wordings.PROMPTS["translate"].official,
    "emotion": wordings.PROMPTS["emotion"].official,
    "vocal": wordings.PROMPTS["vocal"].official,
    "sound": wordings.PROMPTS["name_sound"].official,
    "music": wordings.PROMPTS["instrument"].official,
    "speaker": wordings.PROMPTS["speaker"].official,
    "question": None,
}
"""The tasks, with what is asked if the manifest names no prompt; {} is the language, for a transcript its code."""
TRUTHS = ("text", "label", "answer")
KEYS = ("file", "task", "language", "prompt", *TRUTHS)
LANGUAGES = {
    "en": "English",
    "de": "German",
    "zh": "Mandarin",
    "yue": "Cantonese",
    "ja": "Japanese",
    "ko": "Korean",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
}
"""What some languages are called in a prompt."""
SHOWN_PROBLEMS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """One line: a clip, what is asked about it, and the truth."""

    line: int
    """Its line in the manifest, from 1."""
    file: str
    """The clip, relative to the folder."""
    path: Path
    """Where it lies."""
    task: str
    """One of `PROMPTS`."""
    truth: str
    """What is said, the label, or the answer."""
    language: str
    """Code of the language of the truth: for a translation the one translated into."""
    prompt: str | None
    """What is asked in text; None leaves the clip to speak for itself."""


def manifest_text(manifest: str | Path) -> str:
    """What stands in a manifest. Raises Q2AError if it cannot be read."""
    manifest = Path(manifest)
    try:
        return manifest.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Q2AError(
            f"{manifest}: {error.strerror}; expected a manifest in JSON lines"
        ) from error
    except UnicodeDecodeError as error:
        raise Q2AError(f"{manifest.name} is not UTF-8; save it as UTF-8 text") from error


def parse_manifest(text: str, folder: str | Path, *, name: str) -> list[Recording]:
    """The lines of a manifest's text, checked; `name` is what errors call it.

    Raises Q2AError with one sentence for each line that cannot be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise Q2AError(f"{folder} is no folder; expected the folder that the clips lie in")
    recordings, problems = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            recordings.append(_recording(line, number, folder))
        except Q2AError as error:
            problems.append(f"{name}, line {number}: {error}")
    if problems:
        more = len(problems) - SHOWN_PROBLEMS
        shown = problems[:SHOWN_PROBLEMS] + ([f"and {more} more lines"] if more > 0 else [])
        raise Q2AError("\n".join(shown))
    if not recordings:
        raise Q2AError(f'{name} is empty; expected lines such as {{"file": "a.wav", ...}}')
    return recordings


def _recording(line: str, number: int, folder: Path) -> Recording:
    row = plain_line(_json_object(line))
    for key in row:
        meant = [] if key in KEYS else difflib.get_close_matches(key, KEYS, 1, 0.75)
        if meant:
            raise Q2AError(f"found the key {key!r}; expected {meant[0]!r}")
    file, task = _text(row, "file"), _text(row, "task")
    if task not in PROMPTS:
        raise Q2AError(f"found the task {task!r}; expected one of {', '.join(PROMPTS)}")
    given = [key for key in TRUTHS if row.get(key) is not None]
    if len(given) != 1:
        raise Q2AError(
            f"found {' and '.join(given) or 'no truth'}; expected one of {', '.join(TRUTHS)}"
        )
    language = _text(row, "language", "en")
    if not re.fullmatch(r"[a-z]{2,3}", language):
        raise Q2AError(f"found the language {language!r}; expected a code such as en, de or zh")
    prompt = PROMPTS[task]
    if task == "translate" and language not in LANGUAGES and row.get("prompt") is None:
        raise Q2AError(
            f"found the language {language!r}, whose name is not known here ({', '.join(LANGUAGES)} are); "
            "expected a prompt that names it"
        )
    if prompt is not None:
        named = language if task == "transcribe" else LANGUAGES.get(language, language)
        prompt = prompt.replace("{}", named)
    if row.get("prompt") is not None:
        prompt = _text(row, "prompt")
    return Recording(
        line=number,
        file=file,
        path=_clip_path(folder, file),
        task=task,
        truth=_text(row, given[0]),
        language=language,
        prompt=prompt,
    )


def _json_object(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line, object_pairs_hook=_each_once)
    except Q2AError:
        raise
    except (ValueError, RecursionError) as error:
        raise Q2AError(
            f"found {line.strip()[:40]!r}, which is no JSON; expected an object"
        ) from error
    if not isinstance(row, dict):
        raise Q2AError(f"found a {type(row).__name__}; expected an object with file and task")
    return row


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    for key, _ in pairs if len(values) < len(pairs) else ():
        given = [value for name, value in pairs if name == key]
        if len(given) > 1:
            raise Q2AError(
                f"found {key!r} twice, with {given[0]!r:.40} and {given[1]!r:.40}; expected one"
            )
    return values


def _text(row: dict[str, Any], key: str, default: str | None = None) -> str:
    value = row.get(key, default)
    if not isinstance(value, str) or not value.strip():
        found = f"{key} is {value!r}" if key in row else f"found no {key}"
        raise Q2AError(f"{found}; expected a text")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Q2AError(f"{key} is {value!r}, with half a surrogate pair; expected a text")
    return value.strip()


def _clip_path(folder: Path, file: str) -> Path:
    """Where a clip lies. A name whose accents are written in the other of Unicode's two ways is the same name."""
    names = (file, *(unicodedata.normalize(form, file) for form in ("NFC", "NFD")))
    path = folder / file
    try:
        found = next((folder / name for name in names if (folder / name).is_file()), None)
        place, root = (found or path).resolve(), folder.resolve()
    except (OSError, ValueError, RuntimeError):
        found, place, root = None, folder, folder
    if not place.is_relative_to(root):
        if Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder)):
            raise Q2AError(
                f"{file!r} is a link that leads outside the folder, to {place}; expected a clip inside "
                f"{folder.name}: copy it there, or give the folder that it really lies in"
            )
        raise Q2AError(f"{file!r} lies outside the folder; expected a path inside {folder.name}")
    if found is None:
        raise Q2AError(f"found no clip {file!r}; expected it in {folder}")
    return found
