"""Runs of `q2a train` in processes of their own: started, found again by their folder, stopped and resumed.

Nothing of a run lives in the process that started it, so a closed tab, another page or a workbench that was started
again finds it. A face may poll these functions: they import no torch, and `Follower` reads what was added to the log.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from q2a_core.errors import RunError
from q2a_core.training.runs import processes
from q2a_core.training.runs.layout import (
    CONFIG_FILE,
    DOING,
    FAILED,
    HOLDER,
    LAUNCH,
    LOG_FILE,
    OUTPUT,
    STOP,
)
from q2a_core.training.runs.presence import is_held, read_note, taken, write_note
from q2a_core.training.runs.runlog import read_log

START_PATIENCE = 60.0
"""Seconds in which a process that was started elsewhere must have shown itself."""
LEAVE_PATIENCE = 15.0
"""Seconds that a new start waits for the process before it: one that failed, or has saved and writes its checkpoint."""
_children: dict[Path, subprocess.Popen[Any]] = {}
"""Runs that this process started: the ones whose end it can see at once."""
_leaving: list[subprocess.Popen[Any]] = []
"""Earlier processes of the same runs, done with the folder and on their way out."""
_launching = threading.Lock()
"""Held from the look whether a folder is free until the process in it is noted: two tabs may start a run at once."""


def launch(run: Path, options: Sequence[str], *, resume: bool = False) -> None:
    """Start `q2a train` with these options, stage first, in the folder `run`; returns at once.

    Raises RunError if a run is going on there, or if the folder holds a run that is not to be resumed.
    """
    _wait_for_leaving(run)
    with _launching:
        _launch(run, options, resume=resume)


def _launch(run: Path, options: Sequence[str], *, resume: bool) -> None:
    if occupied(run):
        raise RunError(taken(run))
    if not resume and (run / CONFIG_FILE).is_file():
        raise RunError(f"{run.name} already holds a run; resume it or choose another name")
    command = [sys.executable, "-m", "q2a_core.cli", "train", *options, "--run", str(run)]
    command += ["--resume"] if resume else []
    try:
        run.mkdir(parents=True, exist_ok=True)
        for name in (STOP, HOLDER, DOING, FAILED):
            (run / name).unlink(missing_ok=True)
        with (run / OUTPUT).open("wb") as output:
            process = processes.spawn(command, output)
        _leaving[:] = [child for child in _leaving if child.poll() is None]
        _leaving.extend(child for child in [_children.pop(run.resolve(), None)] if child)
        _children[run.resolve()] = process
        values = {"pid": process.pid, "options": list(options), "time": time.time()}
        write_note(run / LAUNCH, values)
    except OSError as error:
        raise RunError(f"{run.name} cannot be started: {error.strerror}") from error


def resume(run: Path) -> None:
    """Go on with a run that was launched from here, with the options that it began with. Raises RunError."""
    launched = launched_with(run)
    if launched is None:
        raise RunError(
            f"{run.name} was started in a terminal; go on there, with the same command and --resume"
        )
    launch(run, launched["options"], resume=True)


def stop(run: Path) -> None:
    """Ask a run to stop: between two micro-batches, with its state saved; before its first step it ends at once."""
    if not occupied(run):
        return
    (run / STOP).touch()
    launched, holder = launched_with(run), _holder(run)
    # on Windows an environment's python starts another one: the group bears the first one's number
    if launched is not None and (sys.platform == "win32" or holder in (None, launched["pid"])):
        end = processes.interrupt if has_begun(run) else processes.terminate
        end(launched["pid"])
    elif holder is not None:
        processes.interrupt(holder)


def launched_with(run: Path) -> dict[str, Any] | None:
    """What `launch` noted about the last start from here."""
    values = read_note(run / LAUNCH)
    return values if values and {"pid", "options", "time"} <= set(values) else None


def occupied(run: Path) -> Literal["held", "starting", ""]:
    """Whether a process works in a run's folder or is on its way there; "" if neither."""
    if is_held(run):
        return "held"
    if _is_starting(run):
        return "starting"
    return "held" if is_held(run) else ""  # it may have come in between the two looks


def _is_starting(run: Path) -> bool:
    """Whether a launched process is on its way and has not shown itself yet."""
    child = _children.get(run.resolve())
    if child is not None:
        return child.poll() is None and not (run / HOLDER).is_file()
    launched = launched_with(run)
    if launched is None or (run / HOLDER).is_file():
        return False
    return 0 <= time.time() - launched["time"] < START_PATIENCE


def has_begun(run: Path) -> bool:
    """Whether the last process in a run's folder came as far as its log, which begins with the training loop."""
    log, holder = _changed(run / LOG_FILE), _changed(run / HOLDER)
    if holder is None:  # nobody came yet, or the run is older than this file
        return log is not None and not (run / LAUNCH).is_file()
    return log is not None and log >= holder


def _wait_for_leaving(run: Path) -> None:
    """A run that ended has said so on disk a moment before its process goes: give it that moment."""
    end = time.monotonic() + LEAVE_PATIENCE
    while _is_leaving(run) and time.monotonic() < end:
        time.sleep(0.02)


def _is_leaving(run: Path) -> bool:
    """Whether a process that failed still prints why, or one that was stopped and has saved still tidies up."""
    child = _children.get(run.resolve())
    is_alive = child is not None and child.poll() is None
    if (run / FAILED).is_file():
        return is_alive
    return (run / STOP).is_file() and (is_alive or is_held(run)) and _has_ended(run)


def _has_ended(run: Path) -> bool:
    """Whether the log's last line says that the training loop is over."""
    records = read_log(run / LOG_FILE) if (run / LOG_FILE).is_file() else []
    return bool(records) and records[-1]["kind"] == "end"


def last_output(run: Path) -> str:
    """The error that ended a run in one sentence, or the last lines that it printed; "" if it printed nothing."""
    try:
        text = (run / OUTPUT).read_text("utf-8", errors="replace")
    except OSError:
        return ""
    printed = [line.rstrip() for line in text.splitlines() if line.strip()]
    if printed and printed[-1].startswith("q2a: "):
        return printed[-1].removeprefix("q2a: ")
    return "\n".join(printed[-6:])


def _changed(path: Path) -> int | None:
    """When a file was last written, in ns; None if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _holder(run: Path) -> int | None:
    try:
        return int((run / HOLDER).read_text("utf-8"))
    except (OSError, ValueError):
        return None
