"""Where books of utterances are kept, opened or spoken there when they are missing, and a word on the spot.

`open_or_build("train", count=16_000, seed=0)` is what training and evaluation call: it speaks the
first time and opens what was spoken afterwards.
"""

import importlib.metadata
from pathlib import Path

import numpy as np

from q2a_core.errors import SpeechError
from q2a_core.paths import cache_dir
from q2a_core.progress import OnProgress, unheard
from q2a_core.world.speech.espeak import EspeakProcess
from q2a_core.world.speech.levels import ENGINES, Level, plan_utterances
from q2a_core.world.speech.utterance_book import UtteranceBook, build_book
from q2a_core.world.speech.utterances import Engine, Utterance, plan_hash
from q2a_core.world.speech.voices import Split

# changes when the samples of the same grown plan do
GROWN_SOUND = 1


def engine_version() -> str:
    """The version of espeakng-loader, which brings the engine; raises SpeechError without it."""
    try:
        return importlib.metadata.version("espeakng-loader")
    except importlib.metadata.PackageNotFoundError as error:
        raise SpeechError(
            "speech needs the package espeakng-loader, which is not installed; "
            "install it with: pip install espeakng-loader"
        ) from error


def book_directory(
    split: Split,
    *,
    count: int,
    seed: int,
    level: Level = "grown",
) -> Path:
    """Where the book of a plan lies by default; the name changes with the plan and the engine."""
    plan = plan_utterances(split, count=count, seed=seed, level=level)
    return _directory(plan, split, seed, level)


def _directory(plan: list[Utterance], split: Split, seed: int, level: Level) -> Path:
    key = f"{split}-{len(plan)}-{seed}-{plan_hash(plan)[:12]}-espeak-{engine_version()}"
    return cache_dir() / "speech" / (key if level == "first" else f"{level}-{key}-{GROWN_SOUND}")


def open_or_build(
    split: Split,
    *,
    count: int,
    seed: int,
    level: Level = "grown",
    engines: tuple[Engine, ...] = ENGINES,
    on_progress: OnProgress = unheard,
) -> UtteranceBook:
    """The book of that `plan_utterances`, spoken now if it is not in the cache.

    `on_progress(done, total)` counts utterances. Raises SpeechError.
    """
    plan = plan_utterances(split, count=count, seed=seed, level=level, engines=engines)
    directory = _directory(plan, split, seed, level)
    if (directory / "book.json").is_file():
        try:
            return UtteranceBook.open(directory)
        except SpeechError:
            # damaged: building keeps what is whole and speaks the rest again
            pass
    return build_book(plan, directory, on_progress=on_progress)


def speak(text: str, *, voice: str = "en-us", rate: int = 160, pitch: int = 50) -> np.ndarray:
    """One utterance as float32 (S,) at 16 kHz in -1 to 1, spoken by a fresh process."""
    engine_version()
    with EspeakProcess() as engine:
        samples = engine.speak(text, voice=voice, rate=rate, pitch=pitch)
    return samples.astype(np.float32) / 32768
