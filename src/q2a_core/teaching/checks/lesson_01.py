"""Lesson 01: the log-mel by hand, and the arithmetic from samples to tokens for every length."""

from collections.abc import Callable
from typing import Any

import numpy as np

from q2a_core import lengths
from q2a_core.teaching.checks.lesson_01_lengths import judge_lengths
from q2a_core.teaching.checks.mistakes import first_that_fits
from q2a_core.teaching.checks.numbers import array_of, near, wrong_shape
from q2a_core.teaching.exercise import Exercise, Verdict, call, passed, wrong

N_FFT, HOP, RATE = lengths.N_FFT, lengths.HOP_LENGTH, lengths.SAMPLE_RATE


def clips() -> list[np.ndarray]:
    """Clips (S,) of awkward lengths: noise, a tone, and a click in silence."""
    rng = np.random.default_rng(1)
    time = np.arange(4001) / RATE
    click = np.zeros(1703, np.float32)
    click[900] = 1.0
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    return [rng.uniform(-0.5, 0.5, 2400).astype(np.float32), tone, click]


def padded(samples: np.ndarray, frames: int) -> np.ndarray:
    """A clip as the exercise gets it: its beginning mirrored, silence after it, whole windows for `frames` frames."""
    total = (frames - 1) * HOP + N_FFT
    whole = np.concatenate([samples[N_FFT // 2 : 0 : -1], samples])
    return np.pad(whole, (0, max(0, total - len(whole))))[:total]


def power_of(samples: np.ndarray, frames: int) -> np.ndarray:
    """The package's |STFT|^2 (201, frames)."""
    import torch

    from q2a_core.audio.mel import WINDOW_FRAMES, power_spectrogram

    waveform = torch.from_numpy(samples)
    return power_spectrogram(waveform, frames=frames, window=WINDOW_FRAMES * HOP).numpy()


def judge_power(answer: Any) -> Verdict:
    """Windows, Hann, spectrum, squared."""
    found = due = np.zeros(0)
    for samples in clips():
        frames = lengths.mel_frames(len(samples))
        due = power_of(samples, frames)
        given = padded(samples, frames)
        found = array_of(call(answer, given.copy()))
        if near(found, due, 1e-3):
            continue
        shape = _power_shape(found, due)
        if shape:
            return wrong(shape, yours=found, expected=due)
        return wrong(_power_mistake(found, due, given), yours=_log(found), expected=_log(due))
    return passed(
        "201 bins, 40 Hz from one to the next; the next steps only add them up and take their logarithm.",
        yours=_log(found),
        expected=_log(due),
    )


def _power_shape(found: np.ndarray, due: np.ndarray) -> str | None:
    if found.shape == due.shape:
        return None
    if found.shape == due.T.shape:
        return (
            "transposed: expected frequencies in the rows and time in the columns, (201, frames)."
        )
    if found.ndim == 2 and found.shape[0] == N_FFT:
        return "400 rows: the spectrum of a real signal mirrors itself; keep the 201 bins from 0 to 8,000 Hz."
    if found.ndim == 2 and found.shape[0] == due.shape[0]:
        if found.shape[1] == 1 + due.shape[1] * HOP // N_FFT or found.shape[1] < due.shape[1] // 2:
            return "your windows lie side by side: a new one begins every 160 samples, so neighbours overlap."
        if found.shape[1] == due.shape[1] - 1:
            return (
                "one frame too few: the last window ends exactly where the clip ends, and counts."
            )
        return f"{found.shape[1]} frames where {due.shape[1]} whole windows fit: look at where the last one begins."
    return wrong_shape(found, due)


def _power_mistake(found: np.ndarray, due: np.ndarray, given: np.ndarray) -> str:
    windows = np.lib.stride_tricks.sliding_window_view(given, N_FFT)[::HOP]
    periodic = np.hanning(N_FFT + 1)[:-1]
    spectrum = np.fft.rfft(windows * periodic).T
    mistakes: dict[str, Callable[[], np.ndarray]] = {
        "no window: cut hard, a tone leaks into every bin. Multiply each stretch with a Hann window first.": (
            lambda: np.abs(np.fft.rfft(windows).T) ** 2
        ),
        "the symmetric Hann window: it reaches zero at both ends, a period of 399. The spectrum wants the periodic "
        "one, whose next sample would be the zero that it began with.": (
            lambda: np.abs(np.fft.rfft(windows * np.hanning(N_FFT)).T) ** 2
        ),
        "magnitudes: the power is their square.": lambda: np.abs(spectrum),
        "only the real part is squared: power is real squared plus imaginary squared.": (
            lambda: spectrum.real**2
        ),
        "squared but not made real: the square of a complex number is not the square of its size.": (
            lambda: (spectrum**2).real
        ),
        "divided by the window's length: the formula has no such factor.": lambda: due / N_FFT,
        "a Hamming window: it does not reach zero. The model's front end uses Hann.": (
            lambda: np.abs(np.fft.rfft(windows * np.hamming(N_FFT + 1)[:-1]).T) ** 2
        ),
    }
    return first_that_fits(found, mistakes, 1e-3) or (
        "shape right, values not: for each window multiply with Hann, take rfft, then the squared size."
    )


def judge_filters(answer: Any) -> Verdict:
    """Triangles of equal area between neighbouring edges."""
    import librosa

    from q2a_core.audio.mel import mel_filters

    found = due = np.zeros(0)
    for num_mels, n_fft in ((128, 400), (8, 400), (40, 800)):
        edges = librosa.mel_frequencies(num_mels + 2, fmin=0.0, fmax=RATE / 2)
        bins = np.linspace(0, RATE / 2, n_fft // 2 + 1)
        due = mel_filters(num_mels, n_fft).numpy()
        found = array_of(call(answer, edges.copy(), bins.copy()))
        if near(found, due, 1e-4):
            continue
        return wrong(_filter_mistake(found, due, edges, bins), yours=found, expected=due)
    return passed(
        "these are librosa's own filters, to rounding: narrow where the ear is fine, wide where it is not.",
        yours=found,
        expected=due,
    )


def _filter_mistake(found: np.ndarray, due: np.ndarray, edges: np.ndarray, bins: np.ndarray) -> str:
    if found.shape == due.T.shape and found.shape != due.shape:
        return "transposed: expected a row for each bin of the spectrum, a column for each band, (bins, bands)."
    if found.shape != due.shape:
        if found.ndim == 2 and found.shape[1] == len(edges):
            return "a band for each edge: the first and the last edge are no centres, so there are two bands fewer."
        return wrong_shape(found, due)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - left) / (centre - left)
    falling = (right - bins[:, None]) / (right - centre)
    tent = np.maximum(0, np.minimum(rising, falling))
    height = 2.0 / (right - left)
    inside = (bins[:, None] > left) & (bins[:, None] < right)
    mistakes = {
        "every triangle is 1 high: wide bands hear more only because they are wide. Give each the same area.": (
            lambda: tent
        ),
        "below zero outside the triangle: flanks go on as lines. Cut them off at zero.": (
            lambda: np.minimum(rising, falling) * height
        ),
        "boxes: inside a band the weight rises to the centre and falls after it.": (
            lambda: inside * height
        ),
        "half the height: a triangle's area is half its base times its height.": (
            lambda: tent * height / 2
        ),
        "each band adds up to 1 over its bins: narrow bands hold few bins, so that is uneven. The area counts in Hz.": (
            lambda: tent / np.maximum(tent.sum(0), 1e-9)
        ),
        "only the rising flank: after its centre a band falls to the next edge.": (
            lambda: np.where((rising >= 0) & (rising <= 1), rising, 0) * height
        ),
        "the flanks' maximum was taken: inside the triangle it is the smaller of the two that counts.": (
            lambda: np.maximum(0, np.maximum(rising, falling)) * height
        ),
    }
    return first_that_fits(found, mistakes, 1e-4) or (
        "shape right, values not: band m rises from edge m to edge m + 1 and falls to edge m + 2."
    )


def judge_log(answer: Any) -> Verdict:
    """Logarithm, floor, scale."""
    import torch

    from q2a_core.audio.mel import log_mel, mel_filters

    filters = mel_filters().numpy()
    quiet = np.zeros(2000, np.float32)
    quiet[:300] = 1e-3 * clips()[0][:300]
    found = due = np.zeros(0)
    for samples in (*clips(), quiet, np.zeros(1000, np.float32)):
        frames = lengths.mel_frames(len(samples))
        bands = filters.T @ power_of(samples, frames + 2)
        due = log_mel(torch.from_numpy(samples)).numpy()
        kept = min(due.shape[1], bands.shape[1])
        due, bands_before = due[:, :kept], bands.copy()
        with np.errstate(all="ignore"):
            whole = array_of(call(answer, bands))
        if whole.shape != bands_before.shape:
            return wrong(wrong_shape(whole, bands_before))
        found = whole[:, :kept]
        if not near(found, due, 2e-3):
            return wrong(
                _log_mistake(whole, bands_before), yours=found, expected=due if kept else None
            )
    return passed(
        "80 dB below the loudest bin everything is equally dark, and silence is -1.5 everywhere.",
        yours=found,
        expected=due,
    )


def _log_mistake(found: np.ndarray, bands: np.ndarray) -> str:
    with np.errstate(all="ignore"):
        if not np.isfinite(found).all():
            return "not finite: the logarithm of 0. Lift everything to at least 1e-10 before it."
        power = np.maximum(bands, 1e-10)
        log10 = np.log10(power)
        cut = np.maximum(log10, log10.max() - 8)
        ln = np.log(power)
        mistakes = {
            "no floor: what is more than 80 dB below the loudest bin is cut off, at eight powers of ten.": (
                lambda: (log10 + 4) / 4
            ),
            "natural logarithm: powers of ten are meant, log10.": (
                lambda: (np.maximum(ln, ln.max() - 8) + 4) / 4
            ),
            "cut and logarithm are right; the last step is missing, which brings values near 1: (x + 4) / 4.": (
                lambda: cut
            ),
            "the floor depends on each frame's own maximum: quiet frames come out as bright as loud ones. One maximum "
            "for the whole clip.": lambda: (np.maximum(log10, log10.max(0) - 8) + 4) / 4,
            "the floor depends on each band's own maximum: one maximum for the whole clip.": (
                lambda: (np.maximum(log10, log10.max(1, keepdims=True) - 8) + 4) / 4
            ),
            "in decibels: 10 log10. The scale here is log10 itself, so that the floor lies 8 below the maximum.": (
                lambda: (np.maximum(10 * log10, 10 * log10.max() - 8) + 4) / 4
            ),
            "in decibels throughout: the scale here is log10, a tenth of it.": (
                lambda: (10 * cut + 4) / 4
            ),
            "the floor lies 8 below zero, not 8 below the clip's loudest bin.": (
                lambda: (np.maximum(log10, -8) + 4) / 4
            ),
            "divided first, then 4 was added: it goes the other way round.": lambda: cut / 4 + 4,
        }
        return first_that_fits(found, mistakes, 1e-3) or (
            "shape right, values not: at least 1e-10, log10, at least the maximum minus 8, then (x + 4) / 4."
        )


def _log(power: np.ndarray) -> np.ndarray:
    """Powers are drawn as their logarithm."""
    return np.log10(np.maximum(np.abs(power), 1e-10))


EXERCISES = (
    Exercise(
        id="01.power",
        title="Windows and their spectrum",
        difficulty=3,
        importance=4,
        minutes=6,
        hint="np.lib.stride_tricks.sliding_window_view(padded, 400)[::160] gives all windows at once; np.fft.rfft "
        "works along the last axis. Mind which Hann window you take.",
        judge=judge_power,
    ),
    Exercise(
        id="01.filters",
        title="Triangles on the mel scale",
        difficulty=3,
        importance=2,
        minutes=6,
        hint="For all bands at once: rising = (bins[:, None] - left) / (centre - left), and a falling flank like it. "
        "The smaller of the two is the triangle; a triangle of area 1 over a base b is 2 / b high.",
        judge=judge_filters,
    ),
    Exercise(
        id="01.log",
        title="Loudness as a logarithm",
        difficulty=2,
        importance=4,
        minutes=4,
        hint="Four lines: at least 1e-10, log10, at least (its own maximum over everything) - 8, then (x + 4) / 4.",
        judge=judge_log,
    ),
    Exercise(
        id="01.lengths",
        title="Samples to tokens, for every length",
        difficulty=3,
        importance=5,
        minutes=5,
        hint="Whole numbers only: -(-a // b) rounds up. Three steps, and each rounds in its own way; try 321 and 961 "
        "samples on paper.",
        judge=judge_lengths,
    ),
)
