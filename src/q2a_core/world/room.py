"""What happens to a sound between its source and the model: speed, room, microphone, channel, noise and level.

Each effect is a pure function of samples (S,) float32 at 16 kHz and, where it is random, of the generator handed in.
`augment` chains them, so that clean synthetic speech comes out as somebody's own room and microphone give it. What
changes one step later, in the log-mel, is in mel_changes.py.
"""

import numpy as np

from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.sounds.acoustics import bin_frequencies, fast_length, to_spectrum, to_waveform

LOUDEST = 0.99
"""Largest absolute sample that `augment` lets through."""
EDGE = 800
"""Zeros in samples (50 ms) that keep a filter's ringing at the end from wrapping round to the start."""
SILENT = 1e-8
"""Root mean square below which a clip counts as silence."""


def augment(samples: np.ndarray, rng: np.random.Generator, *, strength: float = 1.0) -> np.ndarray:
    """`samples` as another room and microphone would have caught them; speed, and so the length, changes too.

    `strength` 0 leaves all but the level unchanged, 1 is the training recipe; it scales both how likely and how strong
    each effect is.
    """
    if strength > 0:
        samples = change_speed(samples, float(np.exp(rng.uniform(-0.1625, 0.1655) * strength)))
    if rng.uniform() < 0.5 * strength:
        samples = reverberate(samples, rng)
    if rng.uniform() < 0.6 * strength:
        samples = tilt(samples, rng.uniform(-4.5, 4.5) * strength)
    if rng.uniform() < 0.5 * strength:
        low, high = np.exp(rng.uniform(np.log([30.0, 3_000.0]), np.log([300.0, 7_500.0])))
        samples = band_limit(samples, low, high)
    if rng.uniform() < 0.15 * strength:
        samples = clip(samples, rng.uniform(0.25, 0.8), soft=rng.uniform() < 0.5)
    return set_peak(samples, float(np.exp(rng.uniform(np.log(0.1), np.log(LOUDEST)))))


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """`samples` played `factor` times as fast: tempo, pitch and vocal tract move together.

    Resampled in the frequency domain, so nothing folds back; the factor is met to about half a percent.
    """
    if factor == 1.0 or len(samples) == 0:
        return samples
    source = fast_length(len(samples) + EDGE)
    target = fast_length(round(source / factor))
    spectrum = to_spectrum(samples, source)[: target // 2 + 1]
    played = to_waveform(spectrum, target) * np.float32(target / source)
    return played[: max(1, round(len(samples) * target / source))]


def reverberate(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`samples` in a random room: direct sound, early reflections and a decaying tail, cut at the clip's length.

    The tail falls by 60 dB in 0.1 to 0.9 s and lies 0 to 20 dB below the direct sound in energy.
    """
    seconds = float(np.exp(rng.uniform(np.log(0.1), np.log(0.9))))
    length = min(int(seconds * SAMPLE_RATE), max(len(samples), 1))
    tail = rng.standard_normal(length, dtype=np.float32)
    tail *= np.exp(np.arange(length, dtype=np.float32) * (-6.91 / (seconds * SAMPLE_RATE)))
    start = min(length, int(rng.uniform(0.002, 0.015) * SAMPLE_RATE))
    tail[:start] = 0.0
    early = rng.uniform(start, start + 0.05 * SAMPLE_RATE, rng.integers(3, 9)).astype(int)
    tail[np.minimum(early, length - 1)] += rng.uniform(-3.0, 3.0, len(early))
    damping = float(np.exp(rng.uniform(np.log(1_500.0), np.log(7_000.0))))
    energy = 10.0 ** (rng.uniform(-20.0, 0.0) / 10)

    padded = fast_length(len(samples) + length)
    # walls and air swallow the high notes first.
    room = to_spectrum(tail, padded) / (
        1.0 + np.square(bin_frequencies(padded) / np.float32(damping))
    )
    room *= np.float32(np.sqrt(energy) / (level_of(np.abs(room)) + 1e-9))
    return to_waveform(to_spectrum(samples, padded) * (1.0 + room), padded)[: len(samples)]


def tilt(samples: np.ndarray, db_per_octave: float) -> np.ndarray:
    """`samples` with a spectrum turned about 1 kHz by `db_per_octave`, straight from 100 Hz upwards."""
    octaves = np.log2(np.maximum(bin_frequencies(_padded(samples)), 100.0) / 1_000.0)
    return _filtered(samples, np.exp(octaves * np.float32(db_per_octave * np.log(10) / 20)))


def band_limit(samples: np.ndarray, low: float, high: float) -> np.ndarray:
    """`samples` between `low` and `high` Hz, as a telephone or a cheap loudspeaker passes them."""
    f = np.maximum(bin_frequencies(_padded(samples)), 1.0)
    below, above = (np.float32(low) / f) ** 4, (f / np.float32(high)) ** 12
    return _filtered(samples, 1.0 / np.sqrt((1.0 + below) * (1.0 + above)))


def clip(samples: np.ndarray, ceiling: float, *, soft: bool) -> np.ndarray:
    """`samples` driven into a limit at `ceiling` times their peak: bent (tanh) if soft, cut if not."""
    limit = ceiling * float(np.abs(samples).max(initial=0.0))
    if limit == 0.0:
        return samples
    if soft:
        return (limit * np.tanh(samples / limit)).astype(np.float32)
    return np.clip(samples, -limit, limit)


def level_of(samples: np.ndarray) -> float:
    """Root mean square of `samples`; 0 for no samples."""
    if len(samples) == 0:
        return 0.0
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def set_peak(samples: np.ndarray, peak: float) -> np.ndarray:
    """`samples` with `peak` as their largest absolute value; silence stays silent."""
    largest = float(np.abs(samples).max(initial=0.0))
    if largest < SILENT:
        return samples
    return (samples * np.float32(peak / largest)).astype(np.float32)


def mix_at_snr(signal: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """`signal` plus `noise` of the same length, the noise `snr_db` below it in root mean square over the clip.

    The signal keeps its level, so the sum may pass 1. If either is silent the signal comes back unchanged.
    """
    assert signal.shape == noise.shape, f"signal {signal.shape} and noise {noise.shape} differ"
    loud, quiet = level_of(signal), level_of(noise)
    if loud < SILENT or quiet < SILENT:
        return signal
    return (signal + noise * np.float32(loud / quiet * 10.0 ** (-snr_db / 20))).astype(np.float32)


def _padded(samples: np.ndarray) -> int:
    return fast_length(len(samples) + EDGE)


def _filtered(samples: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """`samples` with each bin of their padded transform scaled by `gain`."""
    padded = _padded(samples)
    return to_waveform(to_spectrum(samples, padded) * gain, padded)[: len(samples)]
