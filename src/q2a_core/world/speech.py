"""Speech of the mini world in one place: voices, plans, the cached book, and a word on the spot.

`open_or_build("train", count=16_000, seed=0)` is what training and evaluation call: it speaks the
first time and opens what was spoken afterwards.
"""

import importlib.metadata
from pathlib import Path

import numpy as np

from q2a_core.errors import SpeechError
from q2a_core.paths import cache_dir
from q2a_core.world.espeak import EspeakProcess
from q2a_core.world.utterance_book import Progress, UtteranceBook, build_book
from q2a_core.world.utterances import Utterance, plan_hash, plan_utterances
from q2a_core.world.voices import Split, english_voices, voices

__all__ = [
    "Utterance",
    "UtteranceBook",
    "book_directory",
    "build_book",
    "engine_version",
    "english_voices",
    "open_or_build",
    "plan_hash",
    "plan_utterances",
    "speak",
    "voices",
]


def engine_version() -> str:
    """The version of espeakng-loader, which brings the engine; raises SpeechError without it."""
    try:
        return importlib.metadata.version("espeakng-loader")
    except importlib.metadata.PackageNotFoundError as error:
        raise SpeechError(
            "speech needs the package espeakng-loader, which is not installed; "
            "install it with: pip install espeakng-loader"
        ) from error


def book_directory(split: Split, *, count: int, seed: int) -> Path:
    """Where the book of a plan lies by default; the name changes with the plan and the engine."""
    plan = plan_utterances(split, count=count, seed=seed)
    key = f"{split}-{count}-{seed}-{plan_hash(plan)[:12]}-espeak-{engine_version()}"
    return cache_dir() / "speech" / key


def open_or_build(
    split: Split,
    *,
    count: int,
    seed: int,
    workers: int = 2,
    progress: Progress | None = None,
) -> UtteranceBook:
    """The book of `plan_utterances(split, count, seed)`, spoken now if it is not in the cache.

    `progress(done, total)` counts utterances. Raises SpeechError.
    """
    directory = book_directory(split, count=count, seed=seed)
    if (directory / "book.json").is_file():
        try:
            return UtteranceBook.open(directory)
        except SpeechError:
            # damaged: building keeps what is whole and speaks the rest again
            pass
    plan = plan_utterances(split, count=count, seed=seed)
    return build_book(plan, directory, workers=workers, progress=progress)


def speak(text: str, *, voice: str = "en-us", rate: int = 160, pitch: int = 50) -> np.ndarray:
    """One utterance as float32 (S,) at 16 kHz in -1 to 1, spoken by a fresh process."""
    engine_version()
    with EspeakProcess() as engine:
        samples, _ = engine.speak(text, voice=voice, rate=rate, pitch=pitch)
    return samples.astype(np.float32) / 32768
