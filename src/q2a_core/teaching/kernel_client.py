"""The client that runs a lesson's cells: nbclient's, which waits in turns, gives up once, and stops when asked to."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError

STARTUP_PATIENCE = 180
"""Seconds in which a kernel must answer at all."""
TURN = 0.5
"""Seconds between two looks for a kernel's answer."""


class KernelClient(NotebookClient):
    """Runs a notebook; a cell that ignores its interrupt ends the run with CellTimeoutError."""

    def __init__(self, notebook: Any, **options: Any) -> None:
        super().__init__(notebook, startup_timeout=STARTUP_PATIENCE, allow_errors=True, **options)
        self.asked_to_stop = False
        """Whether Ctrl-C or SIGTERM came."""
        self.interrupted: dict[str, float] = {}
        """Cells that did not end, by their id, with the seconds that they had."""

    def run(self, **options: Any) -> None:
        """Run all cells; KeyboardInterrupt when asked to stop, which nbclient would call a dead kernel."""
        try:
            self.execute(**options)
        except BaseException as error:
            if self.asked_to_stop:
                raise KeyboardInterrupt from error
            raise

    async def async_start_new_kernel(self, **options: Any) -> None:
        """As nbclient's, which by now has set its handlers: they end the kernel, and the run reports that it died."""
        run = asyncio.current_task()
        assert run is not None

        def stop() -> None:
            self.asked_to_stop = True
            run.cancel()

        with suppress(RuntimeError):  # outside the main thread, and on Windows, nobody may set one
            for name in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(name, stop)
        await super().async_start_new_kernel(**options)

    async def async_start_new_kernel_client(self) -> Any:
        """As nbclient's, asking in turns."""
        kernel = await super().async_start_new_kernel_client()
        kernel.shell_channel.get_msg = _asking_again(kernel.shell_channel.get_msg)
        return kernel

    async def _async_handle_timeout(self, timeout: int, cell: Any = None) -> Any:
        key = cell["id"] if cell is not None else ""
        if key in self.interrupted:
            # it does not listen to the interrupt; what the cells before it said is kept
            raise CellTimeoutError("the cell cannot be interrupted")
        self.interrupted[key] = timeout
        return await super()._async_handle_timeout(timeout, cell)


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
