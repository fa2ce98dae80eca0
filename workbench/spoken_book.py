"""The test speakers' book, spoken once in a thread for all tabs; a page looks how far it is."""

import threading

import streamlit as st

from job import Job
from q2a_core.evaluation.mini_suite import TEST_UTTERANCES
from q2a_core.world.speech import book_directory, open_or_build
from q2a_core.world.speech.utterance_book import UtteranceBook


class _Jobs:
    """One job at most for all tabs."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.job: Job[UtteranceBook] | None = None


@st.cache_resource(show_spinner=False)
def _jobs() -> _Jobs:
    return _Jobs()


def current() -> Job[UtteranceBook] | None:
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
            jobs.job = job = Job(total=TEST_UTTERANCES)
            job.start(lambda: _speak(job), name="test speech")


def _speak(job: Job[UtteranceBook]) -> UtteranceBook:
    return open_or_build("test", count=TEST_UTTERANCES, seed=0, on_progress=job.progress)


def _is_spoken() -> bool:
    try:
        directory = book_directory("test", count=TEST_UTTERANCES, seed=0)
        return (directory / "book.json").is_file()
    except Exception:  # without the engine there is no book; `begin` says so
        return False
