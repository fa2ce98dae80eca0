"""A drum kit: bass drum, snare and cymbal, each drawn once and struck many times."""

from dataclasses import dataclass

import numpy as np

from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.sounds.acoustics import (
    band_gain,
    decay,
    filter_by,
    log_uniform,
    noise,
    swell,
    to_samples,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DrumKit:
    """One stroke of each drum, (S,) float32."""

    bass: np.ndarray
    snare: np.ndarray
    hat: np.ndarray
    crash: np.ndarray


def draw_kit(rng: np.random.Generator) -> DrumKit:
    """Drums of one player: any size, tuning and brightness."""
    return DrumKit(bass=_bass(rng), snare=_snare(rng), hat=_hat(rng), crash=_crash(rng))


def _bass(rng: np.random.Generator) -> np.ndarray:
    """A large skin: its pitch drops at once from the blow's to its own; the beater clicks."""
    n = to_samples(rng.uniform(0.2, 0.4))
    time = np.arange(n, dtype=np.float32) / SAMPLE_RATE
    own, drop, slide = log_uniform(rng, 45, 80), rng.uniform(60, 220), rng.uniform(0.015, 0.04)
    angle = 2 * np.pi * (own * time + drop * slide * (1 - np.exp(-time / slide)))
    thud = np.sin(angle) * decay(n, seconds=rng.uniform(0.2, 0.5))
    click = filter_by(noise(rng, n) * decay(n, seconds=0.015), band_gain(1_000, 4_000, order=1))
    return (thud + rng.uniform(0.05, 0.4) * click) * swell(n, attack=0.001, release=0.05)


def _snare(rng: np.random.Generator) -> np.ndarray:
    """A small skin over wires that rattle."""
    n = to_samples(rng.uniform(0.15, 0.3))
    time = np.arange(n, dtype=np.float32) / SAMPLE_RATE
    skin = log_uniform(rng, 160, 260)
    tones = np.sin(2 * np.pi * skin * time) + 0.6 * np.sin(2 * np.pi * 1.6 * skin * time)
    wires = filter_by(noise(rng, n), band_gain(rng.uniform(700, 1_800), 7_600, order=1))
    sound = rng.uniform(0.2, 0.7) * tones * decay(n, seconds=rng.uniform(0.12, 0.25))
    sound += rng.uniform(0.5, 1.0) * wires * decay(n, seconds=rng.uniform(0.15, 0.4))
    return 0.8 * sound * swell(n, attack=0.0008, release=0.05)


def _hat(rng: np.random.Generator) -> np.ndarray:
    """Two small cymbals, closed or half open."""
    n = to_samples(rng.uniform(0.05, 0.16))
    hiss = filter_by(noise(rng, n), band_gain(rng.uniform(4_000, 6_500), 8_000, order=3))
    sound = hiss * decay(n, seconds=rng.uniform(0.06, 0.2))
    return sound * swell(n, attack=0.0008, release=0.02)


def _crash(rng: np.random.Generator) -> np.ndarray:
    """A large cymbal that sounds on."""
    n = to_samples(rng.uniform(0.6, 1.2))
    hiss = filter_by(noise(rng, n), band_gain(rng.uniform(1_500, 4_000), 8_000, order=1.5))
    return hiss * decay(n, seconds=rng.uniform(0.8, 2.0)) * swell(n, attack=0.002, release=0.2)
