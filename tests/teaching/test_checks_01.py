"""Lesson 01's judges: the right answer passes however it is written, and each usual mistake is named."""

import math

import numpy as np
import pytest

from q2a_core.teaching.checks import exercise, exercises_of
from q2a_core.teaching.exercise import judged


def verdict(name: str, answer):
    return judged(exercise(name), answer)


def windows_of(padded):
    return np.lib.stride_tricks.sliding_window_view(padded, 400)[::160]


def hann():
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)


def power(padded, window=None):
    """One window after another, as a loop."""
    window = hann() if window is None else window
    rows = [
        np.abs(np.fft.rfft(padded[start : start + 400] * window)) ** 2
        for start in range(0, len(padded) - 399, 160)
    ]
    return np.array(rows).T


POWER_MISTAKES = {
    "leaks into every bin": lambda p: power(p, np.ones(400)),
    "symmetric Hann": lambda p: power(p, np.hanning(400)),
    "a Hamming window": lambda p: power(p, np.hamming(401)[:-1]),
    "magnitudes": lambda p: np.sqrt(power(p)),
    "only the real part": lambda p: np.fft.rfft(windows_of(p) * hann()).real.T ** 2,
    "divided by the window's length": lambda p: power(p) / 400,
    "transposed": lambda p: power(p).T,
    "400 rows": lambda p: np.abs(np.fft.fft(windows_of(p) * hann()).T) ** 2,
    "one frame too few": lambda p: power(p)[:, :-1],
    "side by side": lambda p: power(p)[:, ::3],
}


def filters(edges, bins):
    out = np.zeros((len(bins), len(edges) - 2))
    for band in range(len(edges) - 2):
        left, centre, right = edges[band : band + 3]
        tent = np.interp(bins, [left, centre, right], [0, 1, 0])
        out[:, band] = tent * 2 / (right - left)
    return out


def flanks(edges, bins):
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - left) / (centre - left)
    falling = (right - bins[:, None]) / (right - centre)
    return rising, falling, 2 / (right - left)


def uncut(edges, bins):
    rising, falling, height = flanks(edges, bins)
    return np.minimum(rising, falling) * height


def boxes(edges, bins):
    inside = (bins[:, None] > edges[:-2]) & (bins[:, None] < edges[2:])
    return inside * 2 / (edges[2:] - edges[:-2])


FILTER_MISTAKES = {
    "every triangle is 1 high": lambda e, b: filters(e, b) * (e[2:] - e[:-2]) / 2,
    "below zero outside": uncut,
    "boxes": boxes,
    "half the height": lambda e, b: filters(e, b) / 2,
    "adds up to 1": lambda e, b: filters(e, b) / np.maximum(filters(e, b).sum(0), 1e-12),
    "transposed": lambda e, b: filters(e, b).T,
    "a band for each edge": lambda e, b: np.pad(filters(e, b), ((0, 0), (1, 1))),
    "rises from edge m": lambda e, b: filters(np.roll(e, 1), b),
}


def log(bands):
    decibels = 10 * np.log10(np.maximum(bands, 1e-10))
    return np.clip(decibels, decibels.max() - 80, None) / 40 + 1


LOG_MISTAKES = {
    "logarithm of 0": lambda x: (np.log10(x) + 4) / 4,
    "no floor": lambda x: (np.log10(np.maximum(x, 1e-10)) + 4) / 4,
    "natural logarithm": lambda x: (
        (np.maximum(np.log(np.maximum(x, 1e-10)), np.log(max(x.max(), 1e-10)) - 8) + 4) / 4
    ),
    "the last step is missing": lambda x: log(x) * 4 - 4,
    "each frame's own maximum": lambda x: floor(x, 0),
    "each band's own maximum": lambda x: floor(x, 1),
    "in decibels throughout": lambda x: (10 * (log(x) * 4 - 4) + 4) / 4,
    "not 8 below the clip's loudest": lambda x: (np.log10(np.maximum(x, 1e-8)) + 4) / 4,
    "divided first": lambda x: (log(x) * 4 - 4) / 4 + 4,
    "shape": lambda x: log(x)[:, :1],
}


def floor(x, axis):
    log10 = np.log10(np.maximum(x, 1e-10))
    return (np.maximum(log10, log10.max(axis, keepdims=True) - 8) + 4) / 4


def counts(n):
    mel = math.ceil(n / 160)
    encoder = math.ceil(mel / 2)
    return [mel, encoder, encoder // 2]


def steps(mel=lambda n: -(-n // 160), encoder=lambda m: (m + 1) // 2, tokens=lambda e: e // 2):
    def answer(n):
        return mel(n), encoder(mel(n)), tokens(encoder(mel(n)))

    return answer


LENGTH_MISTAKES = {
    "waits until it is full": steps(mel=lambda n: n // 160),
    "librosa counts so": steps(mel=lambda n: 1 + n // 160),
    "rounded to the nearest": steps(mel=lambda n: round(n / 160)),
    "fit inside the clip": steps(mel=lambda n: max(0, 1 + (n - 400) // 160)),
    "an odd last mel frame is lost": steps(encoder=lambda m: m // 2),
    "mel frames are even": steps(encoder=lambda m: m // 2 + 1),
    "your count has no padding": steps(encoder=lambda m: max(0, (m - 3) // 2 + 1)),
    "The second convolution steps over two": steps(encoder=lambda m: m),
    "a lone last encoder frame": steps(tokens=lambda e: (e + 1) // 2),
    "than there are pairs": steps(tokens=lambda e: e // 2 + 1),
    "keeps an odd last frame": lambda n: (*steps()(n)[:2], steps()(n)[0] // 4),
    "The pool averages two": steps(tokens=lambda e: e),
    "whole tokens": steps(tokens=lambda e: e / 2),
    "in the wrong order": lambda n: steps()(n)[::-1],
    "three counts": lambda n: steps()(n)[2],
    "not for every length": lambda n: counts(n) if n % 7 else counts(n)[:2],
}


def planted(table: dict):
    return pytest.mark.parametrize(("phrase", "answer"), table.items(), ids=table)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("01.power", power),
        ("01.filters", filters),
        ("01.log", log),
        ("01.lengths", counts),
        ("01.lengths", lambda n: np.array(counts(n))),
    ],
)
def test_the_right_answer_passes(name, answer):
    found = verdict(name, answer)
    assert found, found.message


@planted(POWER_MISTAKES)
def test_power(phrase, answer):
    found = verdict("01.power", answer)
    assert found.state == "wrong"
    assert phrase in found.message


@planted(FILTER_MISTAKES)
def test_filters(phrase, answer):
    with np.errstate(all="ignore"):
        found = verdict("01.filters", answer)
    assert found.state == "wrong"
    assert phrase in found.message


@planted(LOG_MISTAKES)
def test_log(phrase, answer):
    found = verdict("01.log", answer)
    assert found.state == "wrong"
    assert phrase in found.message


@planted(LENGTH_MISTAKES)
def test_lengths(phrase, answer):
    found = verdict("01.lengths", answer)
    assert found.state == "wrong"
    assert phrase in found.message


def test_one_length_of_all_is_enough_to_fail():
    def nearly(n):
        return (0, 0, 0) if n == 77_777 else counts(n)

    found = verdict("01.lengths", nearly)
    assert found.state == "wrong"
    assert "Wrong for 1 of the 480,000" in found.message
    assert any("77,777" in row[0] for row in found.rows)


def test_a_crash_at_one_length_is_told_with_its_words():
    def broken(n):
        return counts(n) if n != 16_001 else counts(n / 0)

    found = verdict("01.lengths", broken)
    assert found.state == "wrong"
    assert "your code raised ZeroDivisionError" in found.message


@pytest.mark.parametrize("item", exercises_of("01"), ids=lambda item: item.id)
def test_a_stub_and_garbage_get_a_sentence(item):
    stub = judged(item, lambda *given: None)
    assert stub.state == "unfilled"
    assert item.hint in stub.message
    for garbage in ("tokens", lambda *given: "many", lambda *given: {}, 3):
        found = judged(item, garbage)
        assert found.state == "wrong"
        assert len(found.message) > 20
        assert "Traceback" not in found.message
