"""What training changes in a log-mel: another throat, rhythm and microphone, and parts that are hidden.

A synthesiser has few throats. Moving the formants (Jaitly and Hinton 2013, vocal tract length perturbation) and bending
the spectrum smoothly makes many of one, at a hundredth of what the same would cost in samples.
"""

import numpy as np

from q2a_core.audio.mel import DYNAMIC_RANGE, mel_centres

THROAT = 0.13
"""Largest change of the formants' frequencies, as a natural logarithm: about 14 % up or down."""
BENDS = 7
"""Points, evenly spaced over the mel bins, between which the spectrum is bent."""
BEND = 0.09
"""Standard deviation of a bend in the log-mel's units, of four decades of power: 3.6 dB."""
FLOOR = DYNAMIC_RANGE / 4
"""How far below its maximum a log-mel is cut off, in its units of four decades."""
TEMPO, TEMPO_FRAMES = 0.18, 30
"""Standard deviation of the logarithm of the local tempo, and frames (0.3 s) from one such draw to the next."""
CUT_SHARE, CUT_HZ = 0.25, (3_000.0, 7_000.0)
"""Varied clips of a telephone or an old file, and the frequency above which it passes nothing."""
HISS_SHARE = 0.5
"""Varied clips over which the microphone's own noise lies."""
HISS = (1.0, 2.0)
"""How far below the maximum it lies, drawn evenly; below FLOOR nothing is heard of it."""
HISS_TILT, HISS_GRAIN = 0.2, 0.05
"""Standard deviations of its tilt from the lowest bin to the highest, and of each of its values."""


def vary_mel(mel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`mel` (M, F) as another speaker and microphone might have given it."""
    varied = move_formants(mel, float(np.exp(rng.uniform(-THROAT, THROAT))))
    bins = len(mel)
    bends = rng.normal(0.0, BEND, BENDS)
    curve = np.interp(np.arange(bins), np.linspace(0, bins - 1, BENDS), bends)
    empty = varied <= varied.max() - np.float32(FLOOR)  # nothing there to be bent
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


def move_formants(mel: np.ndarray, factor: float) -> np.ndarray:
    """`mel` (M, F) with everything `factor` times as high in frequency, and as long as it was."""
    centres = mel_centres(len(mel))
    place = np.interp(centres / factor, centres, np.arange(len(mel)))
    return _blend(mel, place)


def _blend(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Straight lines between neighbouring rows, at fractional places."""
    low = np.minimum(np.floor(places).astype(int), len(rows) - 1)
    high = np.minimum(low + 1, len(rows) - 1)
    share = (places - low).astype(np.float32)[:, None]
    return rows[low] * (1 - share) + rows[high] * share


def mask_mel(
    mel: np.ndarray, rng: np.random.Generator, *, most_bins: int = 24, most_frames: int = 40
) -> np.ndarray:
    """Copy of `mel` (M, F) with one band and one time span set to the clip's mean.

    Widths are uniform up to `most_bins`, and up to `most_frames` or a fifth of the clip. After SpecAugment
    (arXiv 1904.08779), one mask of each kind.
    """
    bins, frames = mel.shape
    masked, mean = mel.copy(), mel.mean()
    width = int(rng.integers(0, min(most_bins, bins) + 1))
    low = int(rng.integers(0, bins - width + 1))
    masked[low : low + width] = mean
    span = int(rng.integers(0, min(most_frames, frames // 5) + 1))
    start = int(rng.integers(0, frames - span + 1))
    masked[:, start : start + span] = mean
    return masked
