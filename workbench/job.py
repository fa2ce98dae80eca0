"""Work that runs in a thread while pages look how far it is."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Result = TypeVar("Result")


@dataclass(kw_only=True)
class Job(Generic[Result]):
    """Something that runs in a thread; all tabs that ask for the same look at the same one."""

    future: "Future[Result]" = field(default_factory=Future)
    done: int = 0
    total: int = 0
    started: float = field(default_factory=time.monotonic)

    def start(self, work: Callable[[], Result], *, name: str) -> None:
        """Begin in a thread called `name`; what `work` returns or raises is the future's."""

        def run() -> None:
            try:
                self.future.set_result(work())
            except BaseException as error:
                self.future.set_exception(error)

        threading.Thread(target=run, name=name, daemon=True).start()

    def progress(self, done: int, total: int) -> None:
        """Take in how far the work is."""
        self.done, self.total = done, total

    @property
    def is_ready(self) -> bool:
        """Whether the result is there; a job that failed has none."""
        return self.future.done() and not self.future.exception()

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self.started
