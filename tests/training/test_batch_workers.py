"""The processes that make batches: deaf to Ctrl-C, gone when nobody waits, and heard when they fail or die."""

import itertools
import multiprocessing
import os
import signal
import threading
import time

import pytest

from q2a_core.errors import AudioError, RunError
from q2a_core.training.batch_workers import _deaf_children, steps_from
from q2a_core.training.batches import CorpusBatches
from q2a_core.training.step_batches import MEGABATCH
from q2a_core.world.corpus import Corpus
from training.unreadable import UnreadableBatches


@pytest.fixture
def batches(small_book, chat_format) -> CorpusBatches:
    return CorpusBatches(
        Corpus(small_book, "train", seed=0, level="first"), chat_format, batch_size=3, seed=0
    )


@pytest.mark.skipif(os.name == "nt", reason="signals to one process are POSIX's")
def test_a_worker_that_is_starting_is_deaf_to_an_interrupt():
    """One that died before it read its orders would leave the trainer waiting for ever."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    with _deaf_children():
        child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(0.1,))
        child.start()
    assert child.pid is not None
    os.kill(child.pid, signal.SIGINT)
    child.join(120)
    assert child.exitcode == 0
    assert signal.pthread_sigmask(signal.SIG_BLOCK, set()) == mask


@pytest.mark.skipif(os.name == "nt", reason="signals to one process are POSIX's")
def test_an_interrupt_of_all_processes_leaves_the_workers_to_the_trainer(batches):
    steps = steps_from(batches, start=0, workers=1)
    next(steps)
    for child in multiprocessing.active_children():
        assert child.pid is not None
        os.kill(child.pid, signal.SIGINT)
    for _ in range(4 * MEGABATCH):
        next(steps)


def test_workers_leave_their_megabatch_when_nobody_waits_for_it(batches):
    """A megabatch takes seconds; a run that stops must not wait for the one that is being made."""
    before = set(multiprocessing.active_children())
    steps = steps_from(batches, start=0, workers=1)
    next(steps)
    assert set(multiprocessing.active_children()) > before
    steps.close()
    assert set(multiprocessing.active_children()) == before
    assert len(batches[3]) == MEGABATCH, "here the batches are made as ever"
    batches.given_up = threading.Event()
    batches.given_up.set()
    with pytest.raises(InterruptedError, match="nobody waits"):
        batches[3]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_clip_that_cannot_be_read_is_told_as_where_it_was_read(batches, workers):
    before = set(multiprocessing.active_children())
    gone = UnreadableBatches(batches.corpus, batches.chat_format, batch_size=3, seed=0)
    steps = steps_from(gone, start=0, workers=workers)
    for _ in range(MEGABATCH):
        next(steps)
    with pytest.raises(AudioError) as caught:
        next(steps)
    assert str(caught.value) == "c.wav: not found; expected a sound file"
    assert set(multiprocessing.active_children()) == before


@pytest.mark.skipif(os.name == "nt", reason="signals to one process are POSIX's")
def test_a_worker_that_dies_is_told_of_in_one_line_while_a_step_is_waited_for(batches):
    """Torch's own handler raises wherever the trainer is, within an update too."""
    before = signal.getsignal(signal.SIGCHLD)
    children = set(multiprocessing.active_children())
    steps = steps_from(batches, start=0, workers=1)
    next(steps)
    [worker] = set(multiprocessing.active_children()) - children
    assert worker.pid is not None
    worker.kill()
    update = time.monotonic() + 1.0
    while time.monotonic() < update:
        assert sum(range(1000))
    with pytest.raises(RunError) as caught:
        list(itertools.islice(steps, MEGABATCH))
    said = str(caught.value)
    assert said.startswith(
        f"a process that makes the batches died: DataLoader worker (pid {worker.pid})"
    )
    assert "Killed; go on with --resume, with fewer --workers" in said
    assert len(said.splitlines()) == 1
    now = signal.getsignal(signal.SIGCHLD)
    assert now is before or now.__module__.startswith("torch"), "the trainer's own goes with it"


@pytest.mark.skipif(os.name == "nt", reason="signals to one process are POSIX's")
def test_a_worker_that_dies_while_it_is_waited_for_is_told_of_at_once(batches):
    children = set(multiprocessing.active_children())
    steps = steps_from(batches, start=0, workers=1)
    next(steps)
    [worker] = set(multiprocessing.active_children()) - children
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    killer = threading.Timer(1.0, worker.kill)
    killer.start()
    with pytest.raises(RunError, match="died: DataLoader worker"):
        # what was made before it stopped, and then it is waited for
        list(itertools.islice(steps, 8 * MEGABATCH))
    killer.join()
