"""Which exercises this user has passed, kept in the user's own folder."""

import json
import time
from typing import Any

from q2a_core import paths
from q2a_core.files import json_or_none, write_whole

FILE = "progress.json"
LATEST = 2.5e11
"""Seconds since 1970 at the end of the calendar, in the year 9892."""


def passed_exercises() -> dict[str, float]:
    """Exercise to the time at which it first passed, in seconds since 1970; empty if nothing is kept."""
    values = json_or_none(paths.lessons_dir() / FILE) or {}
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
        write_whole(folder / FILE, json.dumps(values, indent=1))
    except OSError:
        pass
