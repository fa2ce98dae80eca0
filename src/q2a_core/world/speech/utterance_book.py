"""Utterances spoken once and kept as int16: built in shards by several workers, read by memory map.

A shard is a run of the plan, spoken from first to last by one fresh process, because the engine is
reproducible only as a sequence from its start. So the same plan gives the same bytes whichever
number of workers made it. A shard is written whole or not at all, and a build that was interrupted
goes on with the shards that are missing.

    book.json           hash, engine version, shard names and their hashes
    shard-00000.npy     int16 samples at 16 kHz, utterances end to end
    shard-00000.json    sha256 of the samples; each utterance and its length
"""

import hashlib
import io
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from q2a_core.errors import SpeechError
from q2a_core.files import json_or_none, write_whole
from q2a_core.progress import OnProgress, unheard
from q2a_core.world.speech.espeak import EspeakProcess, to_clip
from q2a_core.world.speech.prosody import express
from q2a_core.world.speech.recorded_engines import RECORDED
from q2a_core.world.speech.recorded_voices import speak_recorded
from q2a_core.world.speech.utterances import Utterance, from_record, plan_hash, to_record

SHARD_SIZE = 500
FORMAT = 1


class UtteranceBook:
    """A finished book: `book[i]` is an utterance and its int16 samples (S,), 16 kHz, read-only."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        index = json_or_none(directory / "book.json")
        if index is None or index.get("format") != FORMAT:
            raise SpeechError(f"{directory} holds no finished book of utterances; build it again")
        self.utterances: list[Utterance] = []
        self._shards: list[np.ndarray] = []
        self._places: list[tuple[int, int, int]] = []
        try:
            self.hash: str = index["hash"]
            """Hexadecimal SHA-256 over the hashes of the shards."""
            self.engine: str = index["engine"]
            """Version of the speech engine that spoke it."""
            for number, entry in enumerate(index["shards"]):
                self._open_shard(number, entry["name"], entry["sha256"])
        except (KeyError, TypeError) as error:  # JSON, but not what a book writes
            raise SpeechError(
                f"the book of utterances in {directory} is damaged; build it again"
            ) from error

    @classmethod
    def open(cls, directory: str | Path) -> "UtteranceBook":
        """The book in a directory; raises SpeechError when it is missing, unfinished or damaged."""
        return cls(Path(directory))

    def _open_shard(self, number: int, name: str, sha256: str) -> None:
        table = json_or_none(self.directory / f"{name}.json")
        try:
            samples = np.load(self.directory / f"{name}.npy", mmap_mode="r")
        except (OSError, ValueError):
            samples = None
        lengths = [] if table is None else [entry["samples"] for entry in table["utterances"]]
        if (
            table is None
            or samples is None
            or table["sha256"] != sha256
            or samples.shape != (sum(lengths),)
        ):
            raise SpeechError(
                f"the book of utterances in {self.directory} is damaged at {name}; "
                "build it again with the same plan, whole shards are kept"
            )
        self._shards.append(samples)
        start = 0
        for entry, length in zip(table["utterances"], lengths, strict=True):
            self.utterances.append(from_record(entry))
            self._places.append((number, start, start + length))
            start += length

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, index: int) -> tuple[Utterance, np.ndarray]:
        shard, start, end = self._places[index]
        return self.utterances[index], self._shards[shard][start:end]

    def __reduce__(self) -> tuple[Any, ...]:
        # a spawned worker maps the files anew instead of receiving a copy of the samples
        return (type(self), (self.directory,))


def build_book(
    plan: list[Utterance],
    directory: str | Path,
    *,
    workers: int = 2,
    shard_size: int = SHARD_SIZE,
    on_progress: OnProgress = unheard,
) -> UtteranceBook:
    """Have a plan spoken into a directory and open the book; whole shards there are kept.

    `on_progress(done, total)` counts utterances and is called from the workers' threads, one at a
    time. Raises SpeechError when the engine is missing, refuses a voice or crashes, and when the
    disk is full.
    """
    if not plan:
        raise SpeechError("an empty plan makes no book; plan at least one utterance")
    directory = Path(directory)
    parts = [plan[start : start + shard_size] for start in range(0, len(plan), shard_size)]
    stop = threading.Event()
    lock = threading.Lock()
    done = 0

    def tick(count: int) -> None:
        nonlocal done
        with lock:
            done += count
            on_progress(done, len(plan))

    def work(number: int) -> dict[str, str] | None:
        try:
            return _build_shard(parts[number], directory, f"shard-{number:05d}", tick, stop)
        except BaseException:
            stop.set()
            raise

    try:
        directory.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(max_workers=max(workers, 1)) as pool:
            jobs = [pool.submit(work, number) for number in range(len(parts))]
            try:
                # a shard is None only when another one failed, and that one raises here
                shards = [shard for job in jobs if (shard := job.result()) is not None]
            finally:
                # after a failure or Ctrl-C the other workers end at their next utterance
                stop.set()
        joined = "".join(shard["sha256"] for shard in shards)
        index = {
            "format": FORMAT,
            "hash": hashlib.sha256(joined.encode()).hexdigest(),
            "plan": plan_hash(plan),
            "engine": shards[0]["engine"],
            "shards": [{"name": shard["name"], "sha256": shard["sha256"]} for shard in shards],
        }
        write_whole(directory / "book.json", json.dumps(index, indent=1))
    except OSError as error:
        raise SpeechError(
            f"speech could not be written to {directory}: {error.strerror or error}. It takes about 35 MB "
            "per 1,000 utterances; make room, empty the cache with q2a clean, or set Q2A_HOME to a folder of yours, "
            "and run it again: whole shards are kept"
        ) from error
    return UtteranceBook.open(directory)


def _build_shard(
    part: list[Utterance],
    directory: Path,
    name: str,
    tick: Callable[[int], None],
    stop: threading.Event,
) -> dict[str, str] | None:
    """Speak one shard, or keep the one that is there and whole; None when told to stop."""
    if stop.is_set():
        return None
    kept = _whole_shard(part, directory, name)
    if kept is not None:
        tick(len(part))
        return kept
    clips, entries = [], []
    with EspeakProcess() as engine:
        for item in part:
            if stop.is_set():
                return None
            samples = _say(engine, item)
            clips.append(samples)
            entries.append({**to_record(item), "samples": samples.size})
            tick(1)
        version = engine.version
    audio = np.concatenate(clips)
    sha256 = hashlib.sha256(audio.astype("<i2").tobytes()).hexdigest()
    write_whole(directory / f"{name}.npy", _npy(audio))
    table = {"sha256": sha256, "engine": version, "utterances": entries}
    write_whole(directory / f"{name}.json", json.dumps(table))
    return {"name": name, "sha256": sha256, "engine": version}


def _say(engine: EspeakProcess, item: Utterance) -> np.ndarray:
    """An utterance by its engine, with its emotion; what is random follows from the utterance."""
    if item.engine in RECORDED:
        raw, rate = speak_recorded(
            item.text, engine=item.engine, voice=item.voice, rate=item.rate, pitch=item.pitch
        )
        samples = to_clip(raw, rate * item.size)
    else:
        samples = engine.speak(
            item.text + item.ending,
            voice=item.voice,
            rate=item.rate,
            pitch=item.pitch,
            pitch_range=item.pitch_range,
            size=item.size,
        )
    if item.emotion != "neutral":
        rng = np.random.default_rng(int(plan_hash([item])[:16], 16))
        samples = express(samples, item.emotion, item.strength, rng)
    return samples


def _whole_shard(part: list[Utterance], directory: Path, name: str) -> dict[str, str] | None:
    table = json_or_none(directory / f"{name}.json")
    if table is None:
        return None
    try:
        spoken = [from_record(entry) for entry in table["utterances"]]
        audio = np.load(directory / f"{name}.npy")
        sha256 = hashlib.sha256(audio.astype("<i2").tobytes()).hexdigest()
        same = spoken == part and sha256 == table["sha256"]
        return {"name": name, "sha256": sha256, "engine": table["engine"]} if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _npy(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, samples)
    return file.getvalue()
