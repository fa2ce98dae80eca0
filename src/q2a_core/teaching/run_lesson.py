"""Run a notebook from top to bottom in a kernel of its own, and read what its checks said (`verdict_log.py`).

The kernel may be cut off from the network: everything in a lesson works offline, and this proves it. With `steps` every
training cell stops after that many.
"""

import os
import secrets
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q2a_core.errors import Q2AError
from q2a_core.progress import OnProgress, unheard
from q2a_core.teaching.verdict_log import (
    FILE_VARIABLE,
    NONCE_VARIABLE,
    PRACTICE_VARIABLE,
    read_verdicts,
)

STEPS_VARIABLE = "Q2A_LESSON_STEPS"
"""Environment variable that cuts training cells; `lesson_steps` reads it."""
LONG_WORK = ("lesson_steps(", "live_run(", "evaluate_mini(", "held_out_examples(", "probe_book(")
"""A cell with one of these trains, scores suites or speaks phrases, and gets the long patience."""
OFFLINE = """
import socket as _socket
_connect = _socket.socket.connect
def _guarded(self, address):
    if self.family in (_socket.AF_INET, _socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"this run is offline, and something wanted to reach {address[0]}")
    return _connect(self, address)
_socket.socket.connect = _guarded
"""


@dataclass(frozen=True, kw_only=True)
class LessonRun:
    """What a notebook did."""

    seconds: float
    verdicts: dict[str, dict[str, str]]
    """Exercise to `state` and `message`, the last of each."""
    errors: tuple[str, ...]
    """Cells that raised, and what, or that had to be interrupted."""
    warnings: tuple[str, ...]
    """What was written to standard error."""
    notebook: Any
    """The executed notebook."""

    @property
    def passed(self) -> list[str]:
        """Exercises that passed."""
        return [name for name, verdict in self.verdicts.items() if verdict["state"] == "passed"]


def lesson_steps(full: int) -> int:
    """How many steps a training cell takes: `full`, or fewer where the run is cut."""
    cut = os.environ.get(STEPS_VARIABLE, "")
    return min(full, int(cut)) if cut.isdigit() else full


def run_notebook(
    path: str | Path,
    *,
    cell_timeout: float = 600,
    quick_timeout: float = 120,
    steps: int | None = None,
    offline: bool = False,
    practice: bool = False,
    folder: str | Path | None = None,
    on_cell: OnProgress = unheard,
) -> LessonRun:
    """Execute a notebook in `folder` (its own by default); a cell that raises is noted, and the rest still runs.

    A cell that trains or scores may take `cell_timeout` seconds, any other the shorter of that and `quick_timeout`;
    then it is interrupted and noted. A cell that ends its kernel ends the run, and is noted too. What passes in
    `practice` is not noted for a certificate. Raises Q2AError for a file that is no notebook and for a kernel that does
    not start, KeyboardInterrupt when Ctrl-C or SIGTERM asks for an end.
    """
    import nbformat
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    from q2a_core.teaching.kernel_client import STARTUP_PATIENCE, KernelClient

    path = Path(path)
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:
        raise Q2AError(f"{path.name} is no notebook that can be read: {error}") from error
    for place, cell in enumerate(notebook.cells):
        cell.setdefault("id", f"cell-{place}")  # notebooks of an older format have none
    if offline:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(OFFLINE))
    environment = dict(os.environ)
    if steps is not None:
        environment[STEPS_VARIABLE] = str(steps)
    environment[NONCE_VARIABLE] = nonce = secrets.token_hex(16)
    if practice:
        environment[PRACTICE_VARIABLE] = "1"
    total = len(notebook.cells)
    begun = [0]

    def patience(cell: Any) -> int:
        is_long = any(mark in cell.source for mark in LONG_WORK)
        return int(cell_timeout if is_long else min(cell_timeout, quick_timeout))

    client = KernelClient(
        notebook,
        timeout_func=patience,
        interrupt_on_timeout=True,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder or path.parent)}},
        on_cell_execute=lambda cell, cell_index: begun.append(cell_index),
        on_cell_executed=lambda cell, cell_index, execute_reply: on_cell(cell_index + 1, total),
    )
    start = time.perf_counter()
    gave_up = died = False
    with tempfile.TemporaryDirectory(prefix="q2a-verdicts-", ignore_cleanup_errors=True) as kept:
        log = Path(kept) / "verdicts.jsonl"
        environment[FILE_VARIABLE] = str(log)
        try:
            # what a cell writes comes as output; the kernel's own words about its transport help nobody
            client.run(env=environment, stderr=subprocess.DEVNULL)
        except CellTimeoutError:
            gave_up = True
        except DeadKernelError:
            died = True
        except (RuntimeError, AssertionError) as error:
            # nbclient's words for a kernel that never answered
            raise Q2AError(
                f"{path.name} did not begin: its kernel did not answer within {STARTUP_PATIENCE} s; try again when "
                "this machine has less to do"
            ) from error
        verdicts = read_verdicts(log, nonce)
    seconds = time.perf_counter() - start
    if offline:
        del notebook.cells[0]
    errors, warnings = _read_outputs(notebook, client.interrupted)
    if died:
        errors += (
            f"cell {max(begun[-1] - offline, 0)}: its process ended (did it run out of memory, or leave Python?): "
            "the cells after it did not run",
        )
    if gave_up:
        errors += (
            "that cell did not stop when it was interrupted: the cells after it did not run",
        )
    return LessonRun(
        seconds=seconds, notebook=notebook, verdicts=verdicts, errors=errors, warnings=warnings
    )


def _read_outputs(
    notebook: Any, interrupted: dict[str, float]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was raised, and what was written to standard error, with the number of the cell."""
    errors, warnings = [], []
    for place, cell in enumerate(notebook.cells):
        limit = interrupted.get(cell.get("id", ""))
        if limit is not None:
            errors.append(
                f"cell {place}: did not end within {limit:g} s and was interrupted: is there an endless loop?"
            )
        for output in cell.get("outputs", ()):
            if output.output_type == "error" and limit is None:
                errors.append(f"cell {place}: {output.ename}: {output.evalue}")
            if output.output_type == "stream" and output.name == "stderr":
                warnings.append(f"cell {place}: {output.text}")
    return tuple(errors), tuple(warnings)
