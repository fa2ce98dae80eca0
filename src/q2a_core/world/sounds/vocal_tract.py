"""A person's voice by source and filter: glottal pulses and breath through a tube that has the shape of a vowel.

`vocal_breaths.py`, `vocal_bursts.py` and `vocal_laughs.py` draw one `Speaker` per sound. Against `throat.py`, made for
animals, the formants here are a cascade with human bandwidths up to 11 kHz, and the breath pulses with the voice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.sounds.acoustics import (
    Gain,
    bin_frequencies,
    fast_length,
    log_uniform,
    noise,
    pulses,
    to_spectrum,
    to_waveform,
    tone,
    wander,
)

VOWELS = {
    "a": (850.0, 1_300.0, 2_800.0, 4_000.0),
    "uh": (740.0, 1_450.0, 2_780.0, 4_000.0),
    "er": (590.0, 1_700.0, 2_800.0, 4_000.0),
    "ae": (820.0, 1_950.0, 2_850.0, 4_100.0),
    "eh": (640.0, 2_150.0, 2_950.0, 4_200.0),
    "ee": (360.0, 2_650.0, 3_250.0, 4_300.0),
    "oh": (560.0, 980.0, 2_700.0, 3_900.0),
    "oo": (380.0, 1_000.0, 2_650.0, 3_800.0),
    "hm": (280.0, 1_150.0, 2_150.0, 3_300.0),
}
"""Formants in Hz of a woman's vocal tract, about 14.5 cm long; "hm" is the hum through the nose, lips closed."""
PEOPLE = {
    "woman": ((0.92, 1.08), (165.0, 265.0)),
    "man": ((1.07, 1.25), (85.0, 165.0)),
    "child": ((0.75, 0.93), (230.0, 380.0)),
}
"""Range of the length of the vocal tract, relative to a woman's, and of the pitch in Hz when speaking."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Speaker:
    """What stays the same from event to event of one person."""

    length: float
    """Length of the vocal tract relative to a woman's: all formants are divided by it."""
    pitch: float
    """Pitch of calm speech in Hz."""
    breath: float
    """Noise that leaks into the voice, relative to it."""
    tilt_hz: float
    """Frequency above which the glottal pulses weaken."""
    order: float
    """How steeply they weaken there, in units of 6 dB per octave."""
    damping: float
    """Factor on the bandwidths of the formants."""


def draw_speaker(rng: np.random.Generator) -> Speaker:
    """A woman, a man or, less often, a child."""
    kind = str(rng.choice(list(PEOPLE), p=[0.42, 0.42, 0.16]))
    lengths, pitches = PEOPLE[kind]
    return Speaker(
        length=rng.uniform(*lengths),
        pitch=log_uniform(rng, *pitches),
        breath=log_uniform(rng, 0.03, 0.35),
        tilt_hz=log_uniform(rng, 350, 1_300),
        order=rng.uniform(0.9, 2.0),
        damping=log_uniform(rng, 0.8, 1.8),
    )


def mix_vowels(first: str, second: str, share: float) -> tuple[float, ...]:
    """The vowel that lies `share` of the way from `first` to `second`."""
    pairs = zip(VOWELS[first], VOWELS[second], strict=True)
    return tuple(a ** (1 - share) * b**share for a, b in pairs)


def draw_vowel(rng: np.random.Generator, names: Sequence[str]) -> tuple[float, ...]:
    """A vowel somewhere between two of `names`."""
    first, second = (names[int(index)] for index in rng.integers(len(names), size=2))
    return mix_vowels(first, second, rng.uniform(0, 1))


def tract_gain(speaker: Speaker, vowel: Sequence[float], *, damping: float = 1.0) -> Gain:
    """Gain of the whole vocal tract in the shape of `vowel`; an open glottis has a `damping` above 1."""
    # above the fourth formant a tube resonates at even distances; those past 8 kHz still lift what lies below.
    poles = [*vowel, *np.arange(vowel[-1] + 1_200, 11_500 * speaker.length, 1_200)]

    def gain(frequencies: np.ndarray) -> np.ndarray:
        square = np.square(frequencies)
        total, factor = np.ones((2, len(frequencies)), dtype=np.complex64)
        for pole in poles:
            centre = pole / speaker.length
            width = (50.0 + 12.0 * (centre / 1_000.0) ** 2) * damping * speaker.damping
            factor.real = 1 - square * np.float32(centre**-2)
            factor.imag = frequencies * np.float32(width * centre**-2)
            total *= factor
        return 1 / total

    return gain


def vocalise(
    rng: np.random.Generator,
    speaker: Speaker,
    vowels: Sequence[Sequence[float]],
    *,
    f0: np.ndarray,
    voicing: np.ndarray,
    breathing: np.ndarray,
    roughness: float = 0.0,
    jitter: float = 0.01,
    damping: float = 1.0,
) -> np.ndarray:
    """Sound of one person whose pulses follow `f0` (Hz) and `voicing` (level), and whose breath follows `breathing`.

    `vowels` (formants) follow one another at equal distances. `roughness` weakens every other pulse, `jitter` is the
    relative spread of random changes in pitch. Both levels are amplitudes of the source, before the vocal tract.
    """
    samples = len(f0)
    f0 = f0 * (1 + jitter * wander(rng, samples, 120.0))
    hiss = noise(rng, samples) * breathing
    padded = fast_length(samples + SAMPLE_RATE // 16)
    frequencies = bin_frequencies(padded)
    # turbulence needs a fast stream: little of it below a few hundred Hz.
    source = to_spectrum(hiss, padded) / np.sqrt(1 + np.square(400.0 / (frequencies + 1)))
    if voicing.any():
        # air leaks out in puffs: breath inside the voice comes and goes with the pulses.
        puffs = speaker.breath * noise(rng, samples) * (1 + 0.7 * tone(f0))
        train = pulses(f0, subharmonic=roughness) * voicing
        tilt = np.exp(np.log1p(np.square(frequencies / speaker.tilt_hz)) * (-speaker.order / 2))
        tilt /= np.sqrt(np.mean(np.square(tilt)))
        source += to_spectrum(train, padded) * tilt + to_spectrum(puffs * voicing, padded)
    shapes = [tract_gain(speaker, vowel, damping=damping)(frequencies) for vowel in vowels]
    spoken = [to_waveform(source * shape, padded)[:samples] for shape in shapes]
    if len(spoken) == 1:
        return spoken[0]
    place = np.linspace(0.0, len(spoken) - 1.0, samples, dtype=np.float32)
    weights = [np.maximum(1.0 - np.abs(place - index), 0.0) for index in range(len(spoken))]
    return np.sum([w * s for w, s in zip(weights, spoken, strict=True)], axis=0)


def unit(sound: np.ndarray) -> np.ndarray:
    """`sound` at a peak of 1, so that levels of its neighbours can be told relative to it."""
    return sound / (float(np.abs(sound).max()) + 1e-9)
