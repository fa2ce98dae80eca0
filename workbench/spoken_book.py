"""The test speakers' book, spoken once in a thread for all tabs; a page looks how far it is."""

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

import streamlit as st

from q2a_core.evaluation.mini_suites import TEST_UTTERANCES
from q2a_core.world.speech import book_directory, open_or_build
from q2a_core.world.speech.utterance_book import UtteranceBook


@dataclass
class BookJob:
    """A book on its way, or there."""

    total: int = TEST_UTTERANCES
    done: int = 0
    future: "Future[UtteranceBook]" = field(default_factory=Future)

    @property
    def book(self) -> UtteranceBook | None:
        """The book, if it is there."""
        if not self.future.done() or self.future.exception():
            return None
        return self.future.result()


class _Jobs:
    """One job at most for all tabs."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.job: BookJob | None = None


@st.cache_resource(show_spinner=False)
def _jobs() -> _Jobs:
    return _Jobs()


def current() -> BookJob | None:
    """The job that runs or ran; a book that lies in the cache is opened by itself. None until `begin`."""
    jobs = _jobs()
    if jobs.job is None and _is_spoken():
        begin()
    return jobs.job


def begin() -> None:
    """Speak the book, or open it; again after a failure."""
    jobs = _jobs()
    with jobs.lock:
        if jobs.job is None or (jobs.job.future.done() and jobs.job.future.exception()):
            jobs.job = BookJob()
            threading.Thread(target=_run, args=(jobs.job,), name="test speech", daemon=True).start()


def _run(job: BookJob) -> None:
    def progress(done: int, total: int) -> None:
        job.done, job.total = done, total

    try:
        book = open_or_build("test", count=TEST_UTTERANCES, seed=0, progress=progress)
        job.future.set_result(book)
    except BaseException as error:
        job.future.set_exception(error)


def _is_spoken() -> bool:
    try:
        directory = book_directory("test", count=TEST_UTTERANCES, seed=0)
        return (directory / "book.json").is_file()
    except Exception:  # without the engine there is no book; `begin` says so
        return False
