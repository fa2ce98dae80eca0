"""Which exercises this user has passed, kept in the user's own folder."""

import json
import os
import tempfile
import time
from typing import Any

from q2a_core import paths

FILE = "progress.json"
LATEST = 2.5e11
"""Seconds since 1970 at the end of the calendar, in the year 9892."""


def passed_exercises() -> dict[str, float]:
    """Exercise to the time at which it first passed, in seconds since 1970; empty if nothing is kept."""
    try:
        values = json.loads((paths.lessons_dir() / FILE).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(values, dict):
        return {}
    return {name: float(value) for name, value in values.items() if _is_time(value)}


def _is_time(value: Any) -> bool:
    """Whether it is seconds since 1970 that a calendar has a date for; a damaged entry counts for nothing."""
    return type(value) in (int, float) and 0 <= value <= LATEST


def note_passed(name: str) -> None:
    """Remember that an exercise passed; a folder that cannot be written loses only the note."""
    values = passed_exercises()
    if name in values:
        return
    values[name] = time.time()
    try:
        folder = paths.lessons_dir()
        folder.mkdir(parents=True, exist_ok=True)
        handle, path = tempfile.mkstemp(dir=folder, prefix=".progress-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(values, file, indent=1)
        os.replace(path, folder / FILE)
    except OSError:
        pass
