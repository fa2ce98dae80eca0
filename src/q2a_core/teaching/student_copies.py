"""A student's own copies of the lessons: made once, never overwritten without a copy of what was there."""

import shutil
import time
from pathlib import Path

from q2a_core import paths
from q2a_core.errors import Q2AError
from q2a_core.teaching.course import Lesson, student_notebook


def own_copy(item: Lesson) -> Path:
    """The student's copy of a lesson, made now if there is none. Raises Q2AError."""
    target = paths.lessons_dir() / f"{item.stem}.ipynb"
    if not target.is_file():
        _copy(item, target)
    return target


def reset(item: Lesson) -> tuple[Path, Path | None]:
    """Put the lesson back as it shipped; returns the fresh copy and where the old one lies now. Raises Q2AError."""
    target = paths.lessons_dir() / f"{item.stem}.ipynb"
    kept = None
    if target.is_file():
        stamp = time.strftime("%Y%m%d-%H%M%S")
        kept = target.with_name(f"{item.stem}.{stamp}.ipynb")
        number = 1
        while kept.exists():
            number += 1
            kept = target.with_name(f"{item.stem}.{stamp}-{number}.ipynb")
        target.rename(kept)
    _copy(item, target)
    return target, kept


def _copy(item: Lesson, target: Path) -> None:
    source = student_notebook(item)
    if not source.is_file():
        raise Q2AError(
            f"lesson {item.number} is not here: expected {source.name} in the notebooks folder"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    except OSError as error:
        raise Q2AError(
            f"cannot write {target}: {error.strerror}; set Q2A_HOME to a folder of yours"
        ) from error
