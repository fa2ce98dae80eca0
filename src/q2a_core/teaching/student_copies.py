"""A student's own copies of the lessons: made once, never overwritten without a copy of what was there."""

import time
from pathlib import Path

from q2a_core import paths
from q2a_core.errors import Q2AError
from q2a_core.files import write_whole
from q2a_core.teaching.course import Lesson, student_notebook


def own_copy(item: Lesson) -> Path:
    """The student's copy of a lesson, made now if there is none. Raises Q2AError."""
    target = paths.lessons_dir() / f"{item.stem}.ipynb"
    if not target.is_file():
        _write(target, _shipped(item))
    return target


def reset(item: Lesson) -> tuple[Path, Path | None]:
    """Put the lesson back as it shipped; returns the fresh copy and where the old one lies now. Raises Q2AError."""
    target = paths.lessons_dir() / f"{item.stem}.ipynb"
    fresh = _shipped(item)  # before anything is moved
    kept = None
    if target.is_file():
        kept = _free_name(target, time.strftime("%Y%m%d-%H%M%S"))
        target.rename(kept)
    try:
        _write(target, fresh)
    except Q2AError:
        if kept is not None:
            kept.rename(target)
        raise
    return target, kept


def _free_name(target: Path, stamp: str) -> Path:
    """Where the old copy goes: beside the new one, under a name that nothing has."""
    kept = target.with_name(f"{target.stem}.{stamp}.ipynb")
    number = 1
    while kept.exists():
        number += 1
        kept = target.with_name(f"{target.stem}.{stamp}-{number}.ipynb")
    return kept


def _shipped(item: Lesson) -> bytes:
    source = student_notebook(item)
    if not source.is_file():
        raise Q2AError(
            f"lesson {item.number} is not here: expected {source.name} in the notebooks folder"
        )
    return source.read_bytes()


def _write(target: Path, content: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content)
    except OSError as error:
        raise Q2AError(
            f"cannot write {target}: {error.strerror}; set Q2A_HOME to a folder of yours"
        ) from error
