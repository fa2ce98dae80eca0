"""Laughter: rows of short calls on one outward breath, four to six a second, with gasps for air between the rows.

Rates, durations and pitches follow acoustic studies of laughs: calls of about a tenth of a second, pitched well above
the same person's speech, from sung "ha ha" over closed-lipped "hm hm" to panting without voice.
"""

import numpy as np

from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.sounds.acoustics import (
    CONTROL_HOP,
    band_gain,
    filter_by,
    log_uniform,
    noise,
    place,
    swell,
    to_samples,
    wander,
)
from q2a_core.world.sounds.vocal_breaths import draw_in
from q2a_core.world.sounds.vocal_tract import Speaker, draw_speaker, mix_vowels, unit, vocalise

LONGEST_LAUGH = 4.0
"""Seconds."""
STYLES = {"open": 0.6, "closed": 0.15, "panting": 0.15, "snorting": 0.1}
"""How people laugh, and how often."""


def laughter(rng: np.random.Generator) -> np.ndarray:
    """One to three rows of calls, each row falling in loudness and pitch."""
    speaker = draw_speaker(rng)
    style = str(rng.choice(list(STYLES), p=list(STYLES.values())))
    rate = rng.uniform(3.9, 6.3)
    lift = log_uniform(rng, 1.2, 2.8)
    vowel = _vowel(rng, style)
    rows = int(rng.choice([1, 2, 3], p=[0.6, 0.28, 0.12]))
    calls = max(2, round(log_uniform(rng, 3, 13) / rows**0.5))
    pieces, end = [], 0
    for index in range(rows):
        many = max(2, calls + int(rng.integers(-1, 2)))
        row = _row(rng, speaker, style, vowel, many, rate=rate, lift=lift * rng.uniform(0.85, 1.1))
        if index and end + len(row) > to_samples(LONGEST_LAUGH):
            break
        pieces.append((end, row * rng.uniform(0.6, 1.0)))
        end += len(row)
        if rng.uniform() < 0.55:
            gasp = draw_in(rng, speaker, log_uniform(rng, 0.15, 0.5))
            pieces.append((end, gasp * log_uniform(rng, 0.05, 0.4)))
            end += len(gasp)
        end += to_samples(rng.uniform(0.0, 0.1))
    total = max(start + len(piece) for start, piece in pieces)
    kept = min(total, to_samples(LONGEST_LAUGH))
    return place(kept, pieces) * swell(kept, attack=0.004, release=0.03)


def _vowel(rng: np.random.Generator, style: str) -> tuple[float, ...]:
    """The colour of the calls: mostly the mouth at rest, wide open in between "a" and "uh", or a giggled "hee"."""
    if style == "closed":
        return mix_vowels("hm", "er", rng.uniform(0, 0.25))
    if style != "open" or rng.uniform() < 0.65:
        return mix_vowels("uh", str(rng.choice(["a", "er", "ae"])), rng.uniform(0, 1))
    return mix_vowels("er", str(rng.choice(["ee", "eh", "oh", "a"])), rng.uniform(0.4, 1))


def _row(
    rng: np.random.Generator,
    speaker: Speaker,
    style: str,
    vowel: tuple[float, ...],
    calls: int,
    *,
    rate: float,
    lift: float,
) -> np.ndarray:
    """`calls` calls of one breath; their voice, breath and pitch are drawn on a 2 ms grid, then sounded together."""
    periods = rng.uniform(0.9, 1.1, calls) / rate * np.linspace(0.95, rng.uniform(1.0, 1.25), calls)
    periods[0] *= rng.uniform(1.0, 1.7)
    calls = max(2, int((np.cumsum(periods) < LONGEST_LAUGH - 0.3).sum()))
    starts = np.cumsum(periods[:calls]) - periods[:calls]
    onset = rng.uniform(0.02, 0.12)
    n = to_samples(onset + float(starts[-1] + periods[calls - 1]) + 0.12)
    time = np.arange(n // CONTROL_HOP + 2) * (CONTROL_HOP / SAMPLE_RATE) - onset
    index = np.clip(np.searchsorted(starts, time, side="right") - 1, 0, calls - 1)
    within = (time - starts[index]) / periods[index]
    # loudness peaks early in the row and sinks with the air that is left; so does the pitch.
    progress = np.arange(calls) / max(1, calls - 1)
    loud = np.where(np.arange(calls) == 0, rng.uniform(0.5, 1.0), 1.0)
    loud = loud * 10 ** (-rng.uniform(4, 16) / 20 * progress) * rng.uniform(0.75, 1.0, calls)
    pitch = speaker.pitch * lift * rng.uniform(0.6, 0.95) ** progress * rng.uniform(0.9, 1.1, calls)
    pitch = np.minimum(pitch, 1_100)
    duty = rng.uniform(0.38, 0.62)
    call = np.clip(within / duty, 0, 1)
    skewed = call ** rng.uniform(0.55, 1.0)
    arch = np.where(within < 0, 0, np.sin(np.pi * skewed) ** rng.uniform(0.8, 1.5))
    glide = 1 + rng.uniform(-0.05, 0.25) * (0.4 - call) + rng.uniform(0, 0.12) * arch
    voiced = np.full(calls, {"panting": 0.0, "snorting": 0.3}.get(style, 1.0))
    if style == "open":
        # a call here and there comes out without voice.
        voiced = np.where(rng.uniform(size=calls) < 0.12, 0.1, 1.0)
    # "h" of the next call: breath rises towards its voice, and never stops quite.
    aspiration = np.clip((within - duty) / (1 - duty), 0, 1) ** 1.5
    aspiration = np.where(within < 0, np.clip(1 + time / onset, 0, 1), aspiration)
    leak = log_uniform(rng, 0.04, 0.3)
    air = loud[index] * (leak * (0.25 + aspiration) + 0.4 * leak * arch)
    if style in ("panting", "snorting"):
        air = loud[index] * (0.1 * aspiration + arch)
    tune, breath, f0 = (
        np.interp(np.arange(n) / SAMPLE_RATE - onset, time, curve).astype(np.float32)
        for curve in (loud[index] * voiced[index] * arch, air, pitch[index] * glide)
    )
    fade = swell(n, attack=0.8 * onset, release=0.1)
    shape = [vowel, mix_vowels("uh", "er", 0.5)] if rng.uniform() < 0.4 else [vowel]
    if style == "closed":
        shape = [vowel]
    sound = vocalise(
        rng,
        speaker,
        shape,
        f0=f0,
        voicing=tune * fade,
        breathing=breath * fade,
        roughness=rng.uniform(0.0, 0.35),
        jitter=rng.uniform(0.01, 0.03),
        damping=rng.uniform(1.0, 1.8),
    )
    if style == "snorting":
        sound = unit(sound) + rng.uniform(0.5, 1.5) * _snort(rng, speaker, breath * fade)
    return unit(sound * np.exp(0.15 * wander(rng, n, 20)))


def _snort(rng: np.random.Generator, speaker: Speaker, air: np.ndarray) -> np.ndarray:
    """Air that the soft palate flutters in, through the nose."""
    n = len(air)
    flutter = np.maximum(0.1, 1 + 0.9 * wander(rng, n, log_uniform(rng, 45, 110)))
    low = log_uniform(rng, 350, 800) / speaker.length
    return unit(filter_by(noise(rng, n) * flutter * air, band_gain(low, 3_500, order=1.2)))
