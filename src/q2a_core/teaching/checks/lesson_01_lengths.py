"""Lesson 01's arithmetic from samples to tokens: every length is tried, a few awkward ones first."""

from typing import Any

import numpy as np

from q2a_core import lengths
from q2a_core.teaching.checks.mistakes import first_that_fits
from q2a_core.teaching.checks.numbers import some_numbers, table_of
from q2a_core.teaching.exercise import Verdict, call, passed, wrong

N_FFT, HOP, RATE = lengths.N_FFT, lengths.HOP_LENGTH, lengths.SAMPLE_RATE
LONGEST = 30 * RATE
"""Samples of the window: the lengths up to here are tried, all of them."""
SHOWN_LENGTHS = (1, 160, 161, 320, 321, 640, 961, 16_000, 16_001, 69_584, 480_000)


def judge_lengths(answer: Any) -> Verdict:
    """Mel frames, encoder frames and audio tokens of every length up to the window."""
    first = call(answer, RATE)
    if some_numbers(first, 3) is None:
        return wrong(
            f"expected three counts (mel frames, encoder frames, audio tokens); found {first!r} for 16,000 samples."
        )
    # a few first: an answer that is wrong there is not asked half a million times
    for samples in (np.array(SHOWN_LENGTHS), np.arange(1, LONGEST + 1)):
        found = table_of((call(answer, int(n)) for n in samples), 3)
        if found is None:
            return wrong("three counts for 16,000 samples, but not for every length.")
        mel = lengths.mel_frames(samples)
        due = np.stack([mel, lengths.encoder_frames(mel), lengths.audio_tokens(mel)], axis=1)
        off = (found != due).any(axis=1)
        if off.any():
            places = np.flatnonzero(off)
            if len(samples) > len(SHOWN_LENGTHS):
                places = places[[0, -1]]
            return wrong(
                f"{_length_mistake(samples, found, due)} Wrong for {off.sum():,} of the "
                f"{len(samples):,} lengths tried.",
                rows=_length_rows(samples, found, due, places),
            )
    places = np.array(SHOWN_LENGTHS) - 1
    return passed(
        f"right for every length from 1 to {LONGEST:,} samples.",
        rows=_length_rows(samples, found, due, places),
    )


def _length_rows(
    samples: np.ndarray, found: np.ndarray, due: np.ndarray, places: np.ndarray
) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (
            f"{samples[place]:,} samples",
            " → ".join(f"{value:g}" for value in found[place]),
            " → ".join(map(str, due[place])),
        )
        for place in places
    )


def _length_mistake(samples: np.ndarray, found: np.ndarray, due: np.ndarray) -> str:
    mel, encoder = due[:, 0], due[:, 1]
    if (found[:, ::-1] == due).all():
        return "all three are right, in the wrong order: mel frames, encoder frames, audio tokens."
    if (found[:, 0] != mel).any():
        return first_that_fits(
            found[:, 0],
            {
                "the mel frames: a hop that has begun counts as a frame, and yours waits until it is full.": (
                    lambda: samples // HOP
                ),
                "the mel frames: one more than hops wherever the clip ends with a whole hop. librosa counts so; this "
                "front end drops that last frame.": lambda: 1 + samples // HOP,
                "the mel frames: rounded to the nearest, so half a hop decides. Any started hop counts.": (
                    lambda: np.round(samples / HOP)
                ),
                "the mel frames: only windows of 400 samples that fit inside the clip. The clip is mirrored and padded "
                "first, so every started hop has a window.": lambda: np.maximum(
                    0, 1 + (samples - N_FFT) // HOP
                ),
                "the mel frames: these come out as fractions. Count whole frames.": lambda: (
                    samples / HOP
                ),
            },
            1e-9,
        ) or ("the mel frames: one for every 160 samples, and a started hop counts.")
    if (found[:, 1] != encoder).any():
        return first_that_fits(
            found[:, 1],
            {
                "the encoder frames: an odd last mel frame is lost. The convolution pads its input by one, so it still "
                "has a place there.": lambda: mel // 2,
                "the encoder frames: one too many where mel frames are even.": lambda: mel // 2 + 1,
                "the encoder frames: a kernel of 3 with padding 1, and your count has no padding.": (
                    lambda: np.maximum(0, (mel - 3) // 2 + 1)
                ),
                "the encoder frames: not halved. The second convolution steps over two mel frames.": (
                    lambda: mel
                ),
                "the encoder frames: these come out as fractions. Count whole frames.": lambda: (
                    mel / 2
                ),
            },
            1e-9,
        ) or ("the encoder frames: a stride of 2 over the mel frames, kernel 3, padding 1.")
    return first_that_fits(
        found[:, 2],
        {
            "the audio tokens: a lone last encoder frame makes no token. The pool takes pairs, without padding.": (
                lambda: (encoder + 1) // 2
            ),
            "the audio tokens: one more than there are pairs of encoder frames.": (
                lambda: encoder // 2 + 1
            ),
            "the audio tokens: a quarter of the mel frames forgets that the convolution keeps an odd last frame.": (
                lambda: mel // 4
            ),
            "the audio tokens: not halved. The pool averages two encoder frames.": lambda: encoder,
            "the audio tokens: these come out as fractions. Count whole tokens.": lambda: (
                encoder / 2
            ),
        },
        1e-9,
    ) or ("the audio tokens: pairs of encoder frames, whole ones only.")
