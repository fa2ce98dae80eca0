"""The processes that make a run's batches, and what a trainer hears of one that fails or dies.

A worker that dies is told of by a signal handler of torch's, which may run anywhere in the trainer, also within an
update, and would leave half of the weights new. Here it is heard only while a step is waited for: what the steps before
it made is whole, and can be saved.
"""

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Generator, Iterator
from types import FrameType
from typing import Any

import torch

from q2a_core.errors import Q2AError, RunError
from q2a_core.training.step_batches import MEGABATCH, StepBatches


def steps_from(
    batches: StepBatches, *, start: int, workers: int
) -> Generator[list[Any], None, None]:
    """The micro-batches of steps number `start`, `start` + 1, ... for ever; 0 workers makes them in this process.

    Raises what kept a worker from making them as it raised it, and RunError where one died.
    """
    context = multiprocessing.get_context("spawn") if workers else None
    given_up = None if context is None else context.Event()
    batches.given_up = given_up  # goes to the workers with the batches
    loader = torch.utils.data.DataLoader(
        _Told(batches),
        batch_size=None,
        sampler=_CountFrom(start // MEGABATCH),
        num_workers=workers,
        multiprocessing_context=context,
        prefetch_factor=2 if workers else None,
        worker_init_fn=_begin_worker if workers else None,
    )
    skip = start % MEGABATCH
    with _deaf_children() if workers else contextlib.nullcontext(), _in_one_line():
        made = iter(loader)
    batches.given_up = None
    try:
        with _HeldBack() as deaths:
            while True:
                with _in_one_line(), deaths.heard():
                    megabatch = next(made)
                if isinstance(megabatch, Exception):
                    raise megabatch
                yield from megabatch[skip:]
                skip = 0
    finally:
        if given_up is not None:
            given_up.set()
        del made  # the error that ended it may keep this frame, and should keep no workers


class _Told(torch.utils.data.Dataset):
    """The megabatches, and in the place of one the error that a user can mend: raised, it would bring its traceback."""

    def __init__(self, batches: StepBatches):
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> list[list[Any]] | Exception:
        try:
            return self.batches[number]
        except (Q2AError, OSError) as error:
            return error


class _CountFrom(torch.utils.data.Sampler[int]):
    def __init__(self, first: int):
        self.first = first

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, 2**31))


class _HeldBack:
    """A context in which torch's word that a worker died waits until somebody wants to hear it."""

    def __init__(self) -> None:
        self._tell: Any = None
        self._kept: RuntimeError | None = None
        self._is_heard = False

    def __enter__(self) -> "_HeldBack":
        # Windows has no such signal, and another thread no handlers: there torch looks for the dead when it waits
        if hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGCHLD)
            if callable(handler):
                self._tell = handler
                signal.signal(signal.SIGCHLD, self._keep)
        return self

    def __exit__(self, *_: object) -> None:
        if self._tell is not None:
            signal.signal(signal.SIGCHLD, self._tell)

    def _keep(self, number: int, frame: FrameType | None) -> None:
        try:
            self._tell(number, frame)
        except RuntimeError as error:
            if self._is_heard:
                raise
            self._kept = error

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Raise in here, and at once if a worker has died since."""
        self._is_heard = True
        try:
            if self._kept is not None:
                raise self._kept
            yield
        finally:
            self._is_heard = False


@contextlib.contextmanager
def _in_one_line() -> Iterator[None]:
    """Say that a worker died as a user can read it."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        what = str(error).split(". ")[0].rstrip(". ")
        raise RunError(
            f"a process that makes the batches died: {what}; go on with --resume, "
            "with fewer --workers if the memory was full"
        ) from error


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes that start in here never hear Ctrl-C; this one hears it afterwards.

    In a terminal it reaches all of them, and one that dies of it before it has read its orders leaves the process that
    writes them waiting for ever. Windows has no such mask: there a worker is deaf from its first line on.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # started later, it would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(_: int) -> None:
    """One thread, and deaf to Ctrl-C, which is the trainer's to act on."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
