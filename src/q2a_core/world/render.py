"""A scene made audible: events laid on a timeline, mixed at their levels, put into a room."""

from dataclasses import dataclass

import numpy as np

from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.recorder import through_recorder
from q2a_core.world.room import augment, mix_at_snr
from q2a_core.world.scene import Event, Scene
from q2a_core.world.sounds import background, is_countable, synthesise_row, synthesise_sound
from q2a_core.world.sounds.music import synthesise_tune
from q2a_core.world.sounds.vocal_sounds import synthesise_vocal
from q2a_core.world.speech.utterance_book import UtteranceBook

TIGHT_SHARE = 0.35
"""Training clips that are cut where the first event begins, and as many where the last one ends."""
LONG_GAP_SHARE, LONG_GAP = 0.08, 2.5
"""Training clips that begin long before the first event, as many that end long after the last, and seconds of it."""
MAX_SECONDS = 10.0
"""Longest clip that the mini world makes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """An event with its place in the clip, before the room changed its speed."""

    event: Event
    onset: float  # seconds
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """A clip and where its events lie."""

    samples: np.ndarray  # float32 (S,), 16 kHz, within -1 to 1
    placed: tuple[Placed, ...]


def render(scene: Scene, book: UtteranceBook | None) -> Rendered:
    """The clip of a scene; the same scene and book give the same samples. Without a book nobody may speak in it."""
    rng = scene.rng(1)
    parts = [_event_samples(event, scene, book) for event in scene.events]
    lead = rng.uniform(0.02, 0.4)
    tail = rng.uniform(0.02, 0.4)
    if scene.split == "train":
        lead, tail = (_another_gap(gap, rng) for gap in (lead, tail))
    onsets, end = _timeline(parts, lead, scene, rng)
    length = int((end + tail) * SAMPLE_RATE) if parts else int(rng.uniform(0.8, 4.0) * SAMPLE_RATE)
    samples = np.zeros(min(length, int(MAX_SECONDS * SAMPLE_RATE)), dtype=np.float32)
    placed = []
    for event, part, onset in zip(scene.events, parts, onsets, strict=True):
        start = int(onset * SAMPLE_RATE)
        kept = part[: max(len(samples) - start, 0)]
        samples[start : start + len(kept)] += kept
        placed.append(Placed(event=event, onset=onset, seconds=len(kept) / SAMPLE_RATE))
    if scene.strength > 0 and parts:
        samples = augment(samples, rng, strength=scene.strength)
    samples = _lay_over_background(samples, scene, rng)
    if scene.split == "train":
        samples = through_recorder(samples, rng)
    return Rendered(samples=_limit(samples, rng), placed=tuple(placed))


def _another_gap(seconds: float, rng: np.random.Generator) -> float:
    """How far a recording's end lies from what is heard: as a rule `seconds`, sometimes nothing, sometimes far."""
    share = rng.random()
    if share < TIGHT_SHARE:
        return 0.0
    return float(rng.uniform(0.4, LONG_GAP)) if share > 1 - LONG_GAP_SHARE else seconds


def _event_samples(event: Event, scene: Scene, book: UtteranceBook | None) -> np.ndarray:
    """One event at the scene's level; an event brings the seed of its own sound."""
    if event.kind == "speech":
        assert event.utterance is not None
        assert book is not None
        _, stored = book[event.utterance]
        return _at_level(stored.astype(np.float32) / 32768, -22.0)
    own = np.random.default_rng([event.seed, 7])
    if event.kind == "music":
        assert event.tune is not None
        assert event.seconds is not None
        sound = synthesise_tune(event.tune, seconds=event.seconds)
    elif event.kind == "vocal":
        sound = synthesise_vocal(event.label, own, count=event.count)
    elif event.count is None and is_countable(event.label):
        sound = synthesise_row(event.label, own).samples
    else:
        made = synthesise_sound(event.label, own, count=event.count, seconds=event.seconds)
        sound = made.samples
    return _at_level(sound, -22.0 + scene.sound_gain_db + event.gain_db)


def _timeline(
    parts: list[np.ndarray], lead: float, scene: Scene, rng: np.random.Generator
) -> tuple[list[float], float]:
    """Onsets in seconds, and the end of the last event."""
    onsets: list[float] = []
    clock = lead
    for part in parts:
        seconds = len(part) / SAMPLE_RATE
        onsets.append(clock)
        step = rng.uniform(0.2, 0.7) * seconds if scene.overlap else seconds + rng.uniform(0.1, 0.6)
        clock += step
    ends = [onset + len(part) / SAMPLE_RATE for onset, part in zip(onsets, parts, strict=True)]
    return onsets, max(ends, default=0.0)


def _at_level(samples: np.ndarray, level_db: float) -> np.ndarray:
    """Scaled so that the louder half of the clip has this RMS; pauses and tails do not count."""
    power = np.sort(samples.astype(np.float64) ** 2)[len(samples) // 2 :]
    rms = float(np.sqrt(power.mean())) if len(power) else 0.0
    return samples * np.float32(10 ** (level_db / 20) / rms) if rms > 1e-6 else samples


def _lay_over_background(samples: np.ndarray, scene: Scene, rng: np.random.Generator) -> np.ndarray:
    if scene.background is None:
        return samples
    noise = background(scene.background, rng, len(samples))
    if not scene.events:
        return noise * np.float32(10 ** rng.uniform(-2.0, -0.7))
    return mix_at_snr(samples, noise, scene.snr_db)


def _limit(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random recording level, never above full scale; silence stays silent."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak < 1e-6:
        return samples.astype(np.float32)
    return (samples * np.float32(10 ** rng.uniform(-1.0, -0.03) / peak)).astype(np.float32)
