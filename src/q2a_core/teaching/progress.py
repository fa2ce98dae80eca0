"""Which exercises this user has passed, kept in the user's own folder."""

import json
import os
import tempfile
import time

from q2a_core import paths

FILE = "progress.json"


def passed_exercises() -> dict[str, float]:
    """Exercise to the time at which it first passed, in seconds since 1970; empty if nothing is kept."""
    try:
        values = json.loads((paths.lessons_dir() / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): float(v) for k, v in values.items()} if isinstance(values, dict) else {}


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
