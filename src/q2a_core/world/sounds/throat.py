"""An animal's throat: glottal pulses and breath through formants that move, with the unsteadiness of a living thing.

animals.py, birds.py and frogs.py draw a `Throat` for one animal and let it call with pitch contours and
vowels; what tells a sheep from a cat is in those, what tells one sheep from another is in the throat.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.sounds.acoustics import (
    filter_each,
    formant_gain,
    log_uniform,
    noise,
    pulses,
    wander,
)

BREAK_SECONDS = 0.015
"""How long a voice takes from one register to the other."""
Vowel = tuple[float, ...]
"""Formant frequencies in Hz of a throat of scale 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Throat:
    """What stays the same from call to call of one animal."""

    scale: float
    """Factor on all formants; below 1 for a large animal."""
    sharpness: float
    """Q of the formants."""
    tilt_hz: float
    """Frequency above which the voice weakens."""
    order: float
    """How steeply it weakens there, in units of 6 dB per octave."""
    fall_db: float
    """How much weaker each formant is than the one below it."""
    breath: float
    """Noise added to the pulses, relative to them."""
    roughness: float
    """How much every other pulse is weaker: 0 for a clear voice."""
    unsteadiness: float
    """Spread of the random changes in loudness, as a natural logarithm."""


def draw_throat(
    rng: np.random.Generator,
    *,
    tilt_hz: float,
    breath: tuple[float, float],
    roughness: tuple[float, float] = (0.0, 0.3),
    scale: tuple[float, float] = (0.85, 1.2),
) -> Throat:
    """A throat about `tilt_hz` bright; the other ranges are those of its fields."""
    return Throat(
        scale=log_uniform(rng, *scale),
        sharpness=log_uniform(rng, 2.5, 6.5),
        tilt_hz=tilt_hz * log_uniform(rng, 0.6, 1.4),
        order=rng.uniform(1.0, 3.2),
        fall_db=rng.uniform(0.0, 10.0),
        breath=log_uniform(rng, *breath),
        roughness=rng.uniform(*roughness),
        unsteadiness=rng.uniform(0.03, 0.22),
    )


def utter(
    rng: np.random.Generator,
    throat: Throat,
    f0: np.ndarray,
    vowels: Sequence[Vowel],
    *,
    jitter: float = 0.012,
    jitter_rate: float = 80.0,
) -> np.ndarray:
    """One call on the pitch contour `f0` (Hz) through `vowels` that follow one another at equal distances.

    `jitter` is the relative spread of random pitch changes, `jitter_rate` (at most 400) how many there are a second.
    """
    samples = len(f0)
    f0 = f0 * (1 + jitter * wander(rng, samples, jitter_rate))
    breath = throat.breath * np.exp(0.6 * wander(rng, samples, 7.0))
    source = pulses(f0, subharmonic=throat.roughness) + breath * noise(rng, samples)
    distinct = list(dict.fromkeys(vowels))
    gains = [
        formant_gain(
            [throat.scale * formant for formant in vowel],
            sharpness=throat.sharpness,
            tilt_hz=throat.tilt_hz,
            order=throat.order,
            fall_db=throat.fall_db,
        )
        for vowel in distinct
    ]
    voices = dict(zip(distinct, filter_each(source, gains), strict=True))
    spoken = voices[vowels[0]]
    if len(distinct) > 1:
        place = np.linspace(0.0, len(vowels) - 1.0, samples, dtype=np.float32)
        spoken = np.zeros(samples, dtype=np.float32)
        for index, vowel in enumerate(vowels):
            spoken += np.maximum(1.0 - np.abs(place - index), 0.0) * voices[vowel]
    return spoken * np.exp(throat.unsteadiness * wander(rng, samples, 14.0))


def breaking(one: np.ndarray, other: np.ndarray, at: Sequence[float]) -> np.ndarray:
    """`one` up to the first of the places `at` (0 to 1, in order), then `other`, and so on in turn, equally loud."""
    samples = np.arange(len(one), dtype=np.float32)
    share = np.zeros(len(one), dtype=np.float32)
    for index, place in enumerate(at):
        passed = (samples - place * len(one)) / (BREAK_SECONDS * SAMPLE_RATE) + 0.5
        share += (-1) ** index * np.clip(passed, 0.0, 1.0)
    one, other = (voice / (voice.std() + 1e-9) for voice in (one, other))
    return one * (1.0 - share) + other * share
