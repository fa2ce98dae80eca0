"""What training changes in a log-mel: another throat, rhythm and microphone, and parts that are hidden.

A synthesiser has few throats. Moving the formants (Jaitly and Hinton 2013, vocal tract length perturbation) and bending
the spectrum smoothly makes many of one, at a hundredth of what the same would cost in samples.
"""

import numpy as np

from q2a_core.audio.mel import DYNAMIC_RANGE, mel_centres
from q2a_core.lengths import conv_mel_frames

THROAT = 0.13
"""Largest change of the formants' frequencies, as a natural logarithm: about 14 % up or down."""
MOUTH, MOUTH_POINTS = 0.05, 4
"""Standard deviation of what is added to it at each of that many points over the mel bins, the first left alone."""
MOUTH_FRAMES = 20
"""Frames (0.2 s) from one such draw to the next: about a syllable."""
CONTRAST = 0.12
"""Standard deviation of the logarithm of how far softer parts lie below the loudest."""
BENDS = 7
"""Points, evenly spaced over the mel bins, between which the spectrum is bent."""
BEND = 0.09
"""Standard deviation of a bend in the log-mel's units, of four decades of power: 3.6 dB."""
FLOOR = DYNAMIC_RANGE / 4
"""How far below its maximum a log-mel is cut off, in its units of four decades."""
TEMPO, TEMPO_FRAMES = 0.22, 30
"""Standard deviation of the logarithm of the local tempo, and frames (0.3 s) from one such draw to the next."""
SLOWEST, QUICKEST = 1.9, 0.9
"""How many times as long speech may become; people say a single word 1.5 times as long as synthesisers do."""
CUT_SHARE, CUT_HZ = 0.25, (3_000.0, 7_000.0)
"""Varied clips of a telephone or an old file, and the frequency above which it passes nothing."""
HISS_SHARE = 0.5
"""Varied clips over which the microphone's own noise lies."""
HISS = (0.6, 2.0)
"""How far below the maximum it lies, drawn evenly: 24 to 80 dB, and below FLOOR (40 dB) nothing is heard of it."""
HISS_TILT, HISS_GRAIN = 0.2, 0.05
"""Standard deviations of its tilt from the lowest bin to the highest, and of each of its values."""

MOST_BINS, MOST_FRAMES = 24, 40
"""Widest band and longest span (0.4 s) that a mask hides."""


def vary_mel(mel: np.ndarray, rng: np.random.Generator, *, spread: float = 1.0) -> np.ndarray:
    """`mel` (M, F) as another speaker and microphone might have given it.

    What sounds without a throat differs more: `spread` widens how far formants and spectrum move.
    """
    if mel.max() - mel.min() < 1e-4:
        return mel  # digital silence sounds the same from any throat
    varied = move_formants(mel, _mouth(mel.shape, rng, spread))
    # nothing there to be bent; between two such bins lies nothing either, within rounding
    empty = varied <= mel.max() - np.float32(FLOOR - 1e-4)
    contrast = float(np.exp(rng.normal(0.0, CONTRAST)))
    varied = varied.max() - (varied.max() - varied) * np.float32(contrast)
    bins = len(mel)
    bends = rng.normal(0.0, BEND * spread, BENDS)
    curve = np.interp(np.arange(bins), np.linspace(0, bins - 1, BENDS), bends)
    varied = varied + curve.astype(np.float32)[:, None]
    floor = varied.max() - np.float32(FLOOR)
    varied = np.where(empty, floor, np.maximum(varied, floor))
    if rng.random() < CUT_SHARE:
        varied = cut_above(varied, float(np.exp(rng.uniform(*np.log(CUT_HZ)))))
    return add_hiss(varied, rng) if rng.random() < HISS_SHARE else varied


def bend_time(mel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`mel` (M, F) now faster, now slower, as long as before: the rhythm of a voice that no rule made.

    After SpecAugment's time warp (arXiv 1904.08779), with more than one point that moves.
    """
    frames = mel.shape[1]
    if frames < TEMPO_FRAMES // 2:
        return mel
    knots = frames // TEMPO_FRAMES + 2
    tempo = np.exp(rng.normal(0.0, TEMPO, knots))
    places = np.cumsum(np.interp(np.linspace(0, knots - 1, frames - 1), np.arange(knots), tempo))
    places = np.concatenate([[0.0], places]) * ((frames - 1) / places[-1])
    return _blend(mel.T, places).T


def pace(mel: np.ndarray, frames: int, factor: float) -> tuple[np.ndarray, int]:
    """`mel` (M, F), whose clip fills `frames` of it, spoken `factor` times as long; and the frames filled then."""
    longer = max(round(frames * factor), 1)
    step = (frames - 1) / (longer - 1) if longer > 1 else 1.0
    places = np.arange(conv_mel_frames(longer)) * step
    return _blend(mel.T, np.minimum(places, mel.shape[1] - 1)).T, longer


def draw_pace(rng: np.random.Generator, limits: tuple[float, float] = (QUICKEST, SLOWEST)) -> float:
    """How many times as long another speaker may take, or what else has such limits."""
    return float(np.exp(rng.uniform(*np.log(limits))))


def cut_above(mel: np.ndarray, hertz: float) -> np.ndarray:
    """`mel` (M, F) with nothing left above `hertz`."""
    passes = mel_centres(len(mel)) <= hertz
    floor = mel[passes].max() - np.float32(FLOOR)
    return np.where(passes[:, None], np.maximum(mel, floor), floor)


def add_hiss(mel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`mel` (M, F) with a steady, tilted noise wherever that is the louder."""
    level = mel.max() - rng.uniform(*HISS)
    tilt = rng.normal(0.0, HISS_TILT) * np.linspace(-0.5, 0.5, len(mel))
    grain = rng.standard_normal(mel.shape, dtype=np.float32) * np.float32(HISS_GRAIN)
    return np.maximum(mel, grain + (level + tilt).astype(np.float32)[:, None])


def move_formants(mel: np.ndarray, factor: float | np.ndarray) -> np.ndarray:
    """`mel` (M, F) with everything `factor` times as high in frequency, and as long as it was.

    A factor for each value (M, F) moves formants apart, and otherwise at one time than at another.
    """
    centres = mel_centres(len(mel))
    factors = np.broadcast_to(np.asarray(factor, dtype=np.float64), mel.shape)
    places = np.interp(centres[:, None] / factors, centres, np.arange(len(mel)))
    return _blend(mel, places)


def _mouth(shape: tuple[int, ...], rng: np.random.Generator, spread: float) -> np.ndarray:
    """Factors (M, F) for formants: those of another throat, and of a mouth that opens otherwise for each syllable."""
    bins, frames = shape
    draws = rng.normal(0.0, MOUTH, (MOUTH_POINTS, frames // MOUTH_FRAMES + 2))
    draws[0] = 0.0  # down there is the voice's pitch
    over_time = [
        np.interp(np.linspace(0, len(row) - 1, frames), np.arange(len(row)), row) for row in draws
    ]
    bent = _blend(np.stack(over_time), np.linspace(0, MOUTH_POINTS - 1, bins))
    return np.exp(spread * (rng.uniform(-THROAT, THROAT) + bent))


def _blend(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Straight lines between neighbouring rows (R, C), at fractional places: (K,) for whole rows, (K, C) for values."""
    if places.ndim == 1:
        places = np.broadcast_to(places[:, None], (len(places), rows.shape[1]))
    low = np.minimum(np.floor(places).astype(int), len(rows) - 1)
    high = np.minimum(low + 1, len(rows) - 1)
    share = (places - low).astype(np.float32)
    first, second = (np.take_along_axis(rows, place, axis=0) for place in (low, high))
    return first * (1 - share) + second * share


def mask_mel(mel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Copy of `mel` (M, F) with one band and one time span set to the clip's mean.

    Widths are uniform up to MOST_BINS, and up to MOST_FRAMES or a fifth of the clip. After SpecAugment
    (arXiv 1904.08779), one mask of each kind.
    """
    bins, frames = mel.shape
    masked, mean = mel.copy(), mel.mean()
    width = int(rng.integers(0, min(MOST_BINS, bins) + 1))
    low = int(rng.integers(0, bins - width + 1))
    masked[low : low + width] = mean
    span = int(rng.integers(0, min(MOST_FRAMES, frames // 5) + 1))
    start = int(rng.integers(0, frames - span + 1))
    masked[:, start : start + span] = mean
    return masked
