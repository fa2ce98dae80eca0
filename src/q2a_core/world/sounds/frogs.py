"""Frogs: pulses that ring in the throat pouch, as a rattle, a chatter, or a croak of two syllables."""

from dataclasses import replace

import numpy as np

from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.sounds.acoustics import (
    band_gain,
    contour,
    event_seconds,
    filter_by,
    in_sequence,
    log_uniform,
    noise,
    ring,
    swell,
    to_samples,
    tone,
    wander,
)
from q2a_core.world.sounds.throat import draw_throat, utter

RIBBIT_SHARE = 0.45
"""Frogs whose croak has two syllables."""


def frog(rng: np.random.Generator, count: int) -> np.ndarray:
    """Croaks: a rattle of pulses that ring in the throat pouch, a slower chatter of short rasps, or "rib-bit"."""
    if rng.uniform() < RIBBIT_SHARE:
        return _ribbits(rng, count)
    chatters = rng.uniform() < 0.4
    pouch = log_uniform(rng, 320, 2_600)
    rate = log_uniform(rng, 70, 250) if chatters else log_uniform(rng, 15, 80)
    rasps = rng.uniform(6.5, 13.0)
    ringing = rng.uniform(6, 15) / pouch
    modes = [(pouch * ratio, ringing * last, weight) for ratio, last, weight in _pouch(rng)]
    two_parts = rng.uniform() < 0.5
    croaks = []
    for seconds in event_seconds(rng, count, 0.08, 0.9):
        n = to_samples(seconds)
        speed = contour(n, [(0, 0.8), (0.5, 1), (1, rng.uniform(0.9, 1.5))])
        blows = np.diff(np.floor(np.cumsum(rate * speed) / SAMPLE_RATE), prepend=-1.0) > 0
        croak = ring(blows * (1 + 0.25 * wander(rng, n, min(rate, 400))), modes)
        croak += rng.uniform(0.02, 0.8) * np.abs(croak) * noise(rng, n)
        if chatters:
            croak *= 0.2 + 0.8 * (0.5 + 0.5 * tone(np.full(n, rasps), start=-0.25)) ** 1.5
        one, two = (
            [(0, 0.5), (0.5, 1), (1, 0.7)],
            [(0, 0.4), (0.2, 0.7), (0.45, 0.5), (0.7, 1), (1, 0.7)],
        )
        croak *= contour(n, two if two_parts else one)
        croaks.append(croak * swell(n, attack=0.02, release=0.04))
    return filter_by(
        in_sequence(rng, croaks, gap=(0.3, 0.8)), band_gain(0.6 * pouch, 6_000, order=2)
    )


def _ribbits(rng: np.random.Generator, count: int) -> np.ndarray:
    """Croaks of two syllables, a long one and a short one, buzzing in bands of which the uppermost climbs."""
    rate, lower = log_uniform(rng, 45, 170), log_uniform(rng, 450, 1_200)
    upper, climbs = lower * rng.uniform(2.1, 3.4), rng.uniform(1.0, 1.35)
    throat = draw_throat(rng, tilt_hz=log_uniform(rng, 2_000, 6_000), breath=(0.05, 1.5))
    sharpness, fall_db = log_uniform(rng, 4, 12), rng.uniform(-8, 3)
    throat = replace(throat, sharpness=sharpness, fall_db=fall_db)
    chest = (log_uniform(rng, 180, 420),) if rng.uniform() < 0.6 else ()
    long, rest, short = rng.uniform(0.07, 0.22), rng.uniform(0.01, 0.06), rng.uniform(0.04, 0.12)
    croaks = []
    for _ in range(count):
        syllables = []
        for seconds in (long, short):
            n = to_samples(seconds * rng.uniform(0.9, 1.1))
            f0 = rate * contour(n, [(0, 0.9), (1, rng.uniform(0.95, 1.2))])
            low, high = (*chest, lower, upper), (*chest, lower, upper * climbs)
            part = utter(rng, throat, f0, [low, high], jitter=0.03, jitter_rate=120)
            syllables.append(part * swell(n, attack=0.012, release=0.03))
        gap = np.zeros(to_samples(rest), dtype=np.float32)
        croaks.append(np.concatenate([syllables[0], gap, syllables[1]]))
    return in_sequence(rng, croaks, gap=(0.2, 0.8))


def _pouch(rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Modes of a frog's throat pouch: (ratio to the main one, relative duration, weight)."""
    return [
        (1.0, 1.0, 1.0),
        (rng.uniform(1.6, 2.6), 0.7, rng.uniform(0.2, 0.9)),
        (rng.uniform(2.8, 4.0), 0.5, rng.uniform(0.0, 0.5)),
        (0.5, 1.0, rng.uniform(0.0, 0.6)),
    ]
