"""The few physical parts that every procedural sound is built from: sources, resonances, envelopes, sequences.

A call or a machine is a source (glottal pulses, noise, a blow) seen through resonances (a vocal tract, a bell, a
table top) under an envelope. These functions make one part each; the files beside this one combine them, and know the
animals and things. All work on mono float32 arrays at 16 kHz, and all randomness comes from the generator handed in.
"""

from collections.abc import Callable, Sequence

import numpy as np

from q2a_core.lengths import SAMPLE_RATE

Gain = Callable[[np.ndarray], np.ndarray]
Points = Sequence[tuple[float, float]]

BAND_EDGE = 7_600.0
"""Highest frequency in Hz that a source gets: just under half the sample rate."""
LONGEST_SEQUENCE = 4.0
"""Seconds that a row of countable events may last."""
CONTROL_HOP = 32
"""Samples between two knots of a slow control curve (2 ms)."""


def to_samples(seconds: float) -> int:
    """Samples in `seconds`, at least one."""
    return max(1, round(seconds * SAMPLE_RATE))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A draw whose logarithm is uniform: the natural spread of a frequency or a duration."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def contour(samples: int, points: Points) -> np.ndarray:
    """Curve through `points` (fraction of the length, value), eased in and out at each of them."""
    at = _control_times(samples)
    x, y = np.array(points, dtype=np.float64).T
    left = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    u = np.clip((at - x[left]) / np.maximum(x[left + 1] - x[left], 1e-9), 0.0, 1.0)
    return _at_every_sample(y[left] + (y[left + 1] - y[left]) * u * u * (3.0 - 2.0 * u), samples)


def wander(rng: np.random.Generator, samples: int, rate: float) -> np.ndarray:
    """Slow random curve of about unit variance with `rate` (at most 400) independent values a second."""
    knots = max(3, int(samples / SAMPLE_RATE * rate) + 3)
    at = _control_times(samples) * (knots - 2)
    slow = np.interp(at, np.arange(knots), rng.standard_normal(knots))
    return _at_every_sample(slow, samples)


def _control_times(samples: int) -> np.ndarray:
    """Times of the control knots, as fractions of the length; the last lies past the end."""
    return np.arange(samples // CONTROL_HOP + 2) * (CONTROL_HOP / samples)


def _at_every_sample(slow: np.ndarray, samples: int) -> np.ndarray:
    """Straight lines between control knots."""
    slow = slow.astype(np.float32)
    ramp = np.arange(CONTROL_HOP, dtype=np.float32) / CONTROL_HOP
    return (slow[:-1, None] + np.diff(slow)[:, None] * ramp).ravel()[:samples]


def swell(samples: int, *, attack: float, release: float) -> np.ndarray:
    """Envelope that rises in `attack` seconds, holds 1, and falls over the last `release` seconds."""
    envelope = np.ones(samples, dtype=np.float32)
    rise, fall = min(samples, to_samples(attack)), min(samples, to_samples(release))
    envelope[:rise] *= np.sin(np.linspace(0.0, np.pi / 2, rise, dtype=np.float32)) ** 2
    envelope[samples - fall :] *= np.cos(np.linspace(0.0, np.pi / 2, fall, dtype=np.float32)) ** 2
    return envelope


def decay(samples: int, *, seconds: float) -> np.ndarray:
    """Exponential envelope that has fallen by 60 dB after `seconds`."""
    return np.exp(np.arange(samples, dtype=np.float32) * (-6.91 / (seconds * SAMPLE_RATE)))


def noise(rng: np.random.Generator, samples: int) -> np.ndarray:
    """White Gaussian noise of unit variance."""
    return rng.standard_normal(samples, dtype=np.float32)


def cycles(frequency: np.ndarray) -> np.ndarray:
    """Running phase in periods of a tone with this frequency (Hz) at each sample, float64."""
    return np.cumsum(frequency, dtype=np.float64) / SAMPLE_RATE


def _angle(phase: np.ndarray) -> np.ndarray:
    """Phase in periods as radians within one period, float32."""
    return (phase - np.floor(phase)).astype(np.float32) * np.float32(2 * np.pi)


def tone(frequency: np.ndarray, *, start: float = 0.0) -> np.ndarray:
    """Sine of a changing frequency (Hz); `start` is its first phase in periods."""
    return np.sin(_angle(cycles(frequency) + start))


def pulses(frequency: np.ndarray, *, subharmonic: float = 0.0) -> np.ndarray:
    """Train of band-limited pulses, all harmonics equal, about unit variance; `subharmonic` weakens every other pulse.

    The closed form of a sum of cosines, with as many harmonics as fit under `BAND_EDGE` at each sample.
    """
    phase = cycles(frequency)
    # the quotient below is 0/0 on the pulse itself; a thousandth of a radian beside it nothing is lost.
    angle = np.clip(_angle(phase), 1e-3, 2 * np.pi - 1e-3, dtype=np.float32)
    harmonics = np.maximum(1.0, np.floor(BAND_EDGE / frequency)).astype(np.float32)
    train = np.sin((harmonics + 0.5) * angle) / (2 * np.sin(angle / 2))
    train = (train - 0.5) * np.sqrt(2 / harmonics)
    if subharmonic:
        train *= 1.0 + subharmonic * np.cos(_angle(phase / 2))
    return train


def filter_by(x: np.ndarray, gain: Gain) -> np.ndarray:
    """`x` filtered by the real or complex `gain` of each frequency (Hz), at its own length."""
    return filter_each(x, [gain])[0]


def filter_each(x: np.ndarray, gains: Sequence[Gain]) -> list[np.ndarray]:
    """`x` through each of several filters; its spectrum is taken once."""
    # a sixteenth of a second of zeros catches what rings on past the end.
    padded = fast_length(len(x) + SAMPLE_RATE // 16)
    spectrum, frequencies = to_spectrum(x, padded), bin_frequencies(padded)
    return [to_waveform(spectrum * gain(frequencies), padded)[: len(x)] for gain in gains]


def fast_length(samples: int) -> int:
    """The next length from `samples` on whose Fourier transform is quick: no prime factor above 11."""
    from scipy.fft import next_fast_len

    return int(next_fast_len(samples, real=False) or samples)


def to_spectrum(x: np.ndarray, padded: int) -> np.ndarray:
    """Complex spectrum of `x` with zeros up to `padded` samples (scipy: numpy takes three times as long)."""
    from scipy.fft import rfft

    return np.asarray(rfft(x.astype(np.float32, copy=False), padded))


def to_waveform(spectrum: np.ndarray, padded: int) -> np.ndarray:
    """The `padded` samples that have this spectrum, float32."""
    from scipy.fft import irfft

    return np.asarray(irfft(spectrum, padded), dtype=np.float32)


def bin_frequencies(padded: int) -> np.ndarray:
    """Frequency in Hz of each bin of a spectrum over `padded` samples, float32."""
    return np.arange(padded // 2 + 1, dtype=np.float32) * np.float32(SAMPLE_RATE / padded)


def formant_gain(
    formants: Sequence[float],
    *,
    sharpness: float = 6.0,
    tilt_hz: float = 1_500.0,
    order: float = 1.0,
    fall_db: float = 0.0,
) -> Gain:
    """Gain of parallel resonances (Hz) with Q `sharpness`, each `fall_db` weaker than the one before.

    Above `tilt_hz` all fall by 6 dB per octave and `order`.
    """

    def gain(frequencies: np.ndarray) -> np.ndarray:
        f = np.maximum(frequencies, 20.0)
        total = np.full(len(f), 0.02, dtype=np.complex64)
        for index, formant in enumerate(formants):
            # neighbours of opposite sign add up between their peaks instead of cancelling.
            weight = (-1.0) ** index * 10.0 ** (-fall_db * index / 20)
            total += weight / (1.0 + 1j * sharpness * (f / formant - formant / f))
        return total * np.exp(np.log1p(np.square(f / tilt_hz)) * (-order / 2))

    return gain


def band_gain(low: float, high: float, *, order: float = 4.0) -> Gain:
    """Gain of a band between `low` and `high` Hz with slopes of 6 dB per octave and `order`."""

    def gain(frequencies: np.ndarray) -> np.ndarray:
        f = np.maximum(frequencies, 1.0)
        power = np.float32(2 * order)
        return 1.0 / np.sqrt((1.0 + (low / f) ** power) * (1.0 + (f / high) ** power))

    return gain


def ring(blow: np.ndarray, modes: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """What a body does when `blow` strikes it; `modes` are (Hz, seconds to fall by 60 dB, weight)."""
    from scipy.signal import lfilter

    sounding = np.zeros(len(blow), dtype=np.float64)
    for frequency, seconds, weight in modes:
        if not 15.0 < frequency < BAND_EDGE:
            continue
        radius = np.exp(-6.91 / (seconds * SAMPLE_RATE))
        angle = 2 * np.pi * frequency / SAMPLE_RATE
        feedback = [1.0, -2 * radius * np.cos(angle), radius * radius]
        sounding += lfilter([0.0, weight * np.sin(angle)], feedback, blow)
    return sounding.astype(np.float32)


def place(samples: int, pieces: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """Mix of pieces laid at sample positions; what reaches past the end is cut."""
    mix = np.zeros(samples, dtype=np.float32)
    for start, piece in pieces:
        if 0 <= start < samples:
            mix[start : start + len(piece)] += piece[: samples - start]
    return mix


def event_seconds(rng: np.random.Generator, count: int, low: float, high: float) -> np.ndarray:
    """Durations of `count` events of one speaker: alike, and short enough to leave room for gaps."""
    typical = min(log_uniform(rng, low, high), 0.78 * LONGEST_SEQUENCE / count)
    return typical * rng.uniform(0.85, 1.1, count)


def in_sequence(
    rng: np.random.Generator, events: Sequence[np.ndarray], *, gap: tuple[float, float]
) -> np.ndarray:
    """Events one after another with gaps drawn from `gap` (seconds), squeezed to `LONGEST_SEQUENCE` if need be."""
    sounding = sum(len(event) for event in events) / SAMPLE_RATE
    room = (LONGEST_SEQUENCE - sounding) / max(1, len(events) - 1)
    typical = min(log_uniform(rng, *gap), max(gap[0], room))
    pieces, start = [], 0
    for event in events:
        pieces.append((start, event))
        start += len(event) + to_samples(max(gap[0], typical * rng.uniform(0.8, 1.0)))
    return place(pieces[-1][0] + len(events[-1]), pieces)
