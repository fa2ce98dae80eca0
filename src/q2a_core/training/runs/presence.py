"""Who works in a run's folder, from a command's first moment to its last, and what it does before the first step.

Imports no torch: a face may look several times a second.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from q2a_core.errors import Q2AError, RunError, in_words
from q2a_core.files import json_or_none
from q2a_core.progress import OnProgress
from q2a_core.training.runs.layout import DOING, FAILED, HOLDER, LAUNCH, LOCK, OWNER, PRESENCE, STOP

LOCK_PATIENCE = 2.0
"""Seconds that a new run waits for the lock: a look at it holds it for a moment."""
NOTE_EVERY = 0.25
"""Seconds between two notes of what a run is doing."""


class Presence:
    """Held by a command for as long as it works on a run's folder; `note` tells watchers what it is at."""

    def __init__(self, run: Path):
        self._path = run / DOING
        self._written = 0.0

    def note(self, what: str) -> OnProgress:
        """A progress callback (done, total) for one kind of preparation."""

        def on_progress(done: int, total: int) -> None:
            now = time.monotonic()
            if now - self._written >= NOTE_EVERY:
                self._written = now
                write_note(self._path, {"what": what, "done": done, "total": total})

        return on_progress


@contextlib.contextmanager
def present(run: Path, check: Callable[[], None] = lambda: None) -> Iterator[Presence]:
    """Hold a run's folder from before the preparations to the end; raises RunError if another process has it.

    What `check` raises, once nobody else has it, leaves the folder as it is. Under torchrun the first process holds it
    for all.
    """
    presence = Presence(run)
    if os.environ.get("RANK", "0") != "0":
        yield presence
        return
    from filelock import FileLock, Timeout

    try:
        run.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise RunError(
            f"{run.name} is a file; expected the name of a folder for the run"
        ) from error
    except OSError as error:
        raise RunError(
            f"{run.name} cannot hold a run ({error.strerror}); choose another folder"
        ) from error
    lock = FileLock(run / PRESENCE)
    try:
        lock.acquire(timeout=LOCK_PATIENCE, poll_interval=0.02)
    except Timeout as error:
        raise RunError(taken(run)) from error
    try:
        check()
    except BaseException:
        lock.release()
        raise
    try:
        stale = (DOING, FAILED) if _was_launched(run) else (DOING, FAILED, STOP)
        for name in stale:
            (run / name).unlink(missing_ok=True)
        (run / HOLDER).write_text(str(os.getpid()), encoding="utf-8")
        yield presence
    except Exception as error:
        # before the lock is free: who sees the folder without a holder finds the reason there
        write_note(run / FAILED, {"error": _in_words(error)})
        raise
    finally:
        (run / DOING).unlink(missing_ok=True)
        lock.release()


class RunLock:
    """The training loop's own hold on a run's folder; raises RunError if another has it. The system frees it at a kill.

    `present` is for commands, and watchers ask after it. This one also keeps apart those who call `train` from Python,
    where no command holds the folder, and is tried once: a look never holds it.
    """

    def __init__(self, run: Path):
        from filelock import FileLock, Timeout

        run.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(run / LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise RunError(taken(run)) from error
        (run / OWNER).write_text(str(os.getpid()), encoding="utf-8")

    def __enter__(self) -> "RunLock":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _was_launched(run: Path) -> bool:
    """Whether this process is the one that a face started here, and may have been asked to stop already."""
    return (read_note(run / LAUNCH) or {}).get("pid") == os.getpid()


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError):
        return in_words(error)
    return str(error) if isinstance(error, Q2AError) else f"{type(error).__name__}: {error}"


def is_held(run: Path) -> bool:
    """Whether a process works in a run's folder."""
    from filelock import FileLock, Timeout

    if not (run / PRESENCE).is_file():
        return False
    try:
        with FileLock(run / PRESENCE).acquire(timeout=0):
            return False
    except Timeout:
        return True


def read_note(path: Path) -> dict[str, Any] | None:
    """A small JSON object, or None where there is none or half of one."""
    return json_or_none(path)


def write_note(path: Path, values: dict[str, Any]) -> None:
    """Write a small JSON object, whole or not at all; a disk that refuses a note stops no run."""
    staging = path.with_name(f"{path.name}.tmp")
    with contextlib.suppress(OSError):
        staging.write_text(json.dumps(values), encoding="utf-8")
        staging.replace(path)


def taken(run: Path) -> str:
    """What a second process in a folder is told."""
    return (
        f"another process is training in {run.name}; wait for it, stop it, or choose another folder"
    )
