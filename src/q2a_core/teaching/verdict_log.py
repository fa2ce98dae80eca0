"""How the verdicts of a notebook's checks reach the one that runs it: `check` writes them to a file named for it.

What a cell displays is no evidence: it may show anything, or show nothing where the verdict is kept in a variable. The
nonce keeps lines of another run, or of a program that does not know it, out; it stops slips, not people who mean to
cheat.
"""

import json
import os
from pathlib import Path
from typing import Any, get_args

from q2a_core.errors import Q2AError
from q2a_core.teaching.exercise import State, Verdict

FILE_VARIABLE = "Q2A_VERDICTS"
"""Environment variable that names the file; without it nothing is written."""
NONCE_VARIABLE = "Q2A_VERDICTS_NONCE"
PRACTICE_VARIABLE = "Q2A_PRACTICE"
"""Environment variable: set where what passes is not the user's own work and is not to be noted."""


def is_practice() -> bool:
    """Whether what passes now counts for nobody's certificate."""
    return bool(os.environ.get(PRACTICE_VARIABLE))


def write_verdict(verdict: Verdict) -> None:
    """Tell the runner of a verdict, if there is one; a file that cannot be written loses only the note."""
    path, nonce = (os.environ.get(name) for name in (FILE_VARIABLE, NONCE_VARIABLE))
    if not path or not nonce:
        return
    record = {"nonce": nonce, "exercise": verdict.exercise}
    record |= {"state": verdict.state, "message": verdict.message}
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    except OSError:
        pass


def read_verdicts(path: Path, nonce: str) -> dict[str, dict[str, str]]:
    """Exercise to `state` and `message`, the last of each; lines that are no verdict of this run count for nothing."""
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if _is_verdict(record, nonce):
            found[record["exercise"]] = {key: record[key] for key in ("state", "message")}
    return found


def _is_verdict(record: Any, nonce: str) -> bool:
    from q2a_core.teaching.checks import exercise

    if not isinstance(record, dict) or record.get("nonce") != nonce:
        return False
    if record.get("state") not in get_args(State) or not isinstance(record.get("message"), str):
        return False
    try:
        exercise(str(record.get("exercise")))
    except Q2AError:
        return False
    return isinstance(record["exercise"], str)
