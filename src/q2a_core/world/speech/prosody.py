"""How feelings sound: the engine's rate, pitch and melody, and what the voice does besides.

An emotion is set in two places. `settings` draws what the engine is told; `express` then changes the
samples, never their number: anger is pressed and hard, fear trembles, sadness is dull and breathy,
joy is bright and swings. Strength 0 is neutral.
"""

from dataclasses import dataclass

import numpy as np

from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.speech.utterances import Emotion

EMOTIONS: tuple[Emotion, ...] = ("neutral", "anger", "joy", "sadness", "fear")
EMOTION_SHARES = (0.55, 0.1125, 0.1125, 0.1125, 0.1125)
STRENGTH = (0.7, 1.0)
# words a minute, pitch and pitch range of the engine at full strength
NEUTRAL = ((105, 195), (32, 66), (30, 65))
FULL: dict[Emotion, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    "anger": ((190, 235), (50, 72), (78, 99)),
    "joy": ((170, 210), (74, 92), (85, 99)),
    "sadness": ((90, 118), (8, 28), (0, 12)),
    "fear": ((215, 260), (80, 97), (12, 40)),
}
LIMIT = 32000.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the engine is told."""

    rate: int
    pitch: int
    pitch_range: int


def settings(rng: np.random.Generator, emotion: Emotion, strength: float) -> Settings:
    """Rate, pitch and pitch range: neutral ones, moved towards the emotion by its strength."""
    plain = [float(rng.uniform(*span)) for span in NEUTRAL]
    moved = [float(rng.uniform(*span)) for span in FULL.get(emotion, NEUTRAL)]
    values = (round(a + strength * (b - a)) for a, b in zip(plain, moved, strict=True))
    return Settings(*values)


def express(
    samples: np.ndarray, emotion: Emotion, strength: float, rng: np.random.Generator
) -> np.ndarray:
    """The emotion in int16 samples (S,) at 16 kHz; as many come back."""
    if emotion == "neutral" or strength <= 0 or samples.size < 2:
        return samples
    x = samples.astype(np.float32)
    level = _rms(x)
    change = {"anger": _anger, "joy": _joy, "sadness": _sadness, "fear": _fear}[emotion]
    y, gain_db = change(x, strength, rng)
    y *= level / max(_rms(y), 1e-6) * 10 ** (gain_db * strength / 20)
    # a soft limit: loud voices get rough, not clipped
    y = LIMIT * np.tanh(y / LIMIT)
    return np.rint(y).astype(np.int16)


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def _smooth(x: np.ndarray, seconds: float) -> np.ndarray:
    from scipy.signal import lfilter

    keep = float(np.exp(-1 / (seconds * SAMPLE_RATE)))
    return np.asarray(lfilter([1 - keep], [1, -keep], x), np.float32)


def _anger(x: np.ndarray, strength: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Highs up, onsets struck, the peaks pressed."""
    tilt = strength * rng.uniform(0.75, 0.95)
    y = x.copy()
    y[1:] -= np.float32(tilt) * x[:-1]
    loud = np.abs(y)
    quick, slow = _smooth(loud, 0.008), _smooth(loud, 0.08)
    onset = np.clip(quick / (slow + 1.0) - 1, 0, 2)
    y *= 1 + np.float32(strength * 0.9) * onset
    press = 2.2 * strength * _rms(y) + 1.0
    pressed = np.tanh(y / press * 0.8) * press
    return (1 - strength * 0.5) * y + strength * 0.5 * pressed, 6.0


def _joy(x: np.ndarray, strength: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Somewhat brighter, with a swing of pitch and loudness of three to four a second."""
    speed, phase = rng.uniform(2.8, 4.0), rng.uniform(0, 2 * np.pi)
    y = _waver(x, speed, strength * 0.07, phase)
    y[1:] -= np.float32(0.35 * strength) * y[:-1].copy()
    time = np.arange(x.size, dtype=np.float32) / SAMPLE_RATE
    return y * (1 + 0.35 * strength * np.sin(2 * np.pi * speed * time + phase)), 3.0


def _sadness(x: np.ndarray, strength: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Highs down, breath in the voice, fading towards the end."""
    from scipy.signal import lfilter

    keep = strength * rng.uniform(0.6, 0.8)
    y = np.asarray(lfilter([1 - keep], [1, -keep], x), np.float32)
    breath = rng.standard_normal(x.size, dtype=np.float32) * _smooth(np.abs(y), 0.02)
    y += np.float32(strength * rng.uniform(0.08, 0.2)) * breath
    return y * np.linspace(1.0, 1 - 0.5 * strength, x.size, dtype=np.float32), -6.0


def _fear(x: np.ndarray, strength: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """A tremble of pitch and loudness, six to nine a second."""
    speed, phase = rng.uniform(6.0, 9.0), rng.uniform(0, 2 * np.pi)
    y = _waver(x, speed, strength * rng.uniform(0.05, 0.08), phase)
    time = np.arange(x.size, dtype=np.float32) / SAMPLE_RATE
    depth = strength * rng.uniform(0.4, 0.65)
    return y * (1 + depth * np.sin(2 * np.pi * speed * time + phase + 1)), -1.0


def _waver(x: np.ndarray, speed: float, depth: float, phase: float) -> np.ndarray:
    """Pitch moved up and down by `depth` at `speed` hertz: read at places that swing."""
    place = np.arange(x.size, dtype=np.float64)
    swing = depth / (2 * np.pi * speed) * SAMPLE_RATE
    place += swing * np.sin(2 * np.pi * speed * place / SAMPLE_RATE + phase)
    return np.interp(place, np.arange(x.size), x).astype(np.float32)
