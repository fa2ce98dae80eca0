"""Where the user's runs lie, one folder each, and what they are called."""

import re
from pathlib import Path

from q2a_core import paths
from q2a_core.errors import RunError
from q2a_core.training.runs.layout import CONFIG_FILE, LAUNCH, LOG_FILE

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")


def run_folder(name: str) -> Path:
    """The folder of a run among the user's own. Raises RunError for a name that could lead elsewhere."""
    if not NAME.fullmatch(name):
        raise RunError(
            f"{name[:40]!r} is no name for a run; expected letters, digits, dots, dashes and underscores"
        )
    return paths.runs_dir() / name


def known_runs() -> list[str]:
    """Names of the user's runs, the one that was touched last first."""
    root = paths.runs_dir()
    found = []
    for path in root.iterdir() if root.is_dir() else ():
        marks = [path / name for name in (CONFIG_FILE, LAUNCH, LOG_FILE) if (path / name).is_file()]
        if marks and NAME.fullmatch(path.name):
            found.append((max(mark.stat().st_mtime for mark in marks), path.name))
    return [name for _, name in sorted(found, reverse=True)]


def free_name(stage: str) -> str:
    """The first of sft-1, sft-2 and so on that no run has."""
    taken, number = set(known_runs()), 1
    while f"{stage}-{number}" in taken:
        number += 1
    return f"{stage}-{number}"


def new_folder(stage: str) -> Path:
    """A folder for the next run of a stage, made now: two tabs that ask at once get two."""
    number = int(free_name(stage).rpartition("-")[2])
    while True:
        run = run_folder(f"{stage}-{number}")
        try:
            run.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return run
