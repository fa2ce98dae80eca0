"""Processes that outlive the one which started them: begun in a group of their own, asked to stop, ended."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

NICENESS = 5
"""A run in the background gives way to the face that shows it."""


def spawn(command: Sequence[str], output: Any) -> subprocess.Popen[Any]:
    """Start a process in a group of its own: a Ctrl-C meant for the parent, or its end, does not reach it."""
    streams: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": output,
        "stderr": subprocess.STDOUT,
        "env": os.environ | {"PYTHONUNBUFFERED": "1"},
    }
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        return subprocess.Popen(command, creationflags=flags, **streams)
    process = subprocess.Popen(command, start_new_session=True, **streams)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
    return process


def interrupt(pid: int) -> None:
    """The signal that `q2a train` takes as a wish to stop; Windows can send Ctrl-Break alone to another group."""
    with contextlib.suppress(OSError):
        os.kill(pid, signal.CTRL_BREAK_EVENT if sys.platform == "win32" else signal.SIGINT)


def terminate(pid: int) -> None:
    """End a process that has nothing to save yet, with the speech engines and workers that it started."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, signal.SIGTERM)
