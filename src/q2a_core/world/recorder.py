"""What recordings carry that nobody chose: a floor of hiss, and edges where a coder or a slow sample rate cut them.

Collections of real sounds show both in most clips. Training clips get them last, after room, microphone and
background; the suites of an evaluation do without.
"""

import numpy as np

from q2a_core.world.room import mix_at_snr
from q2a_core.world.sounds import background
from q2a_core.world.sounds.acoustics import filter_by, log_uniform

FLOOR_SHARE, FLOOR_DB = 0.75, (25.0, 65.0)
"""Clips with a floor of noise, and how far in dB it lies below them."""
FLOOR_KINDS = ("white", "pink", "brown")
HIGH_SHARE, HIGH_HZ = 0.4, (3_300.0, 7_600.0)
"""Clips that end at a frequency, as those of 8 kHz and coded ones do, and where."""
LOW_SHARE, LOW_HZ = 0.12, (60.0, 800.0)
"""Clips that begin at a frequency, as recorders' wind filters make them, and where."""
EDGE_HZ = 40.0
"""How far an edge's slope reaches."""
REJECTED = 1e-4
"""What is left beyond an edge (-80 dB)."""


def through_recorder(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`samples` (S,) with the floor and the edges of a recording that `rng` draws; silence gets no floor."""
    if rng.uniform() < FLOOR_SHARE:
        noise = background(str(rng.choice(FLOOR_KINDS)), rng, len(samples))
        samples = mix_at_snr(samples, noise, float(rng.uniform(*FLOOR_DB)))
    low = log_uniform(rng, *LOW_HZ) if rng.uniform() < LOW_SHARE else -np.inf
    high = log_uniform(rng, *HIGH_HZ) if rng.uniform() < HIGH_SHARE else np.inf
    return cut_outside(samples, low, high)


def cut_outside(samples: np.ndarray, low: float, high: float) -> np.ndarray:
    """`samples` without what lies below `low` or above `high` Hz; infinite edges leave them as they are."""
    if np.isinf(low) and np.isinf(high):
        return samples
    from scipy.special import expit

    def gain(f: np.ndarray) -> np.ndarray:
        inside = expit((f - low) / EDGE_HZ) * expit((high - f) / EDGE_HZ)
        return np.maximum(inside, REJECTED).astype(np.float32)

    return filter_by(samples, gain)
