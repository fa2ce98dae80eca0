"""Run a notebook from top to bottom in a kernel of its own, and read the verdicts of its checks.

The kernel may be cut off from the network: everything in a lesson works offline, and this proves it. With `steps` every
training cell stops after that many.
"""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q2a_core.errors import Q2AError
from q2a_core.teaching.exercise import VERDICT_MIME

STEPS_VARIABLE = "Q2A_LESSON_STEPS"
"""Environment variable that cuts training cells; `lesson_steps` reads it."""
TURN = 0.5
"""Seconds between two looks for a kernel's answer."""
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
    """Cells that raised, and what."""
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
    steps: int | None = None,
    offline: bool = False,
    folder: str | Path | None = None,
    on_cell: Callable[[int, int], None] = lambda done, total: None,
) -> LessonRun:
    """Execute a notebook in `folder` (its own by default); a cell that raises is noted, and the rest still runs.

    `cell_timeout` is in seconds. Raises Q2AError for a file that is no notebook or a kernel that dies.
    """
    import nbclient
    import nbformat
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    path = Path(path)
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:
        raise Q2AError(f"{path.name} is no notebook that can be read: {error}") from error
    if offline:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(OFFLINE))
    environment = dict(os.environ)
    if steps is not None:
        environment[STEPS_VARIABLE] = str(steps)
    total = len(notebook.cells)

    class Client(nbclient.NotebookClient):
        async def async_start_new_kernel_client(self) -> Any:
            kernel = await super().async_start_new_kernel_client()
            kernel.shell_channel.get_msg = _asking_again(kernel.shell_channel.get_msg)
            return kernel

    client = Client(
        notebook,
        timeout=int(cell_timeout),
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(folder or path.parent)}},
        on_cell_executed=lambda cell, cell_index, execute_reply: on_cell(cell_index + 1, total),
    )
    start = time.perf_counter()
    try:
        # what a cell writes comes as output; the kernel's own words about its transport help nobody
        client.execute(env=environment, stderr=subprocess.DEVNULL)
    except (DeadKernelError, CellTimeoutError) as error:
        raise Q2AError(f"{path.name} did not finish: {str(error).splitlines()[0]}") from error
    seconds = time.perf_counter() - start
    if offline:
        del notebook.cells[0]
    return LessonRun(seconds=seconds, notebook=notebook, **_read_outputs(notebook))


def _asking_again(get_msg: Callable[..., Any]) -> Callable[..., Any]:
    """`get_msg` of a channel, waiting in short turns.

    A message that arrives while one is being sent on the same socket, as a widget's output does, raises no event there:
    it would be found when the whole patience for a cell is over.
    """
    from queue import Empty

    async def get(timeout: float | None = None) -> Any:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = TURN if end is None else min(TURN, end - time.monotonic())
            try:
                return await get_msg(timeout=max(left, 0.0))
            except Empty:
                if end is not None and time.monotonic() >= end:
                    raise

    return get


def _read_outputs(notebook: Any) -> dict[str, Any]:
    verdicts, errors, warnings = {}, [], []
    for place, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            record = output.get("data", {}).get(VERDICT_MIME)
            if record:
                name = record["exercise"]
                verdicts[name] = {key: record[key] for key in ("state", "message")}
            if output.output_type == "error":
                errors.append(f"cell {place}: {output.ename}: {output.evalue}")
            if output.output_type == "stream" and output.name == "stderr":
                warnings.append(f"cell {place}: {output.text}")
    return {"verdicts": verdicts, "errors": tuple(errors), "warnings": tuple(warnings)}
