"""Scores against jiwer and against cases counted by hand."""

import jiwer
import numpy as np
import pytest

from q2a_core.evaluation.metrics import accuracy, normalise, word_error_rate, word_errors

WORDS = ["red", "blue", "cup", "dog", "seven", "the"]


def test_word_error_rate_is_jiwers_on_random_pairs():
    rng = np.random.default_rng(0)
    pairs = [
        (
            " ".join(rng.choice(WORDS, rng.integers(1, 7))),
            " ".join(rng.choice(WORDS, rng.integers(0, 7))),
        )
        for _ in range(60)
    ]
    expected = jiwer.wer(
        [reference for reference, _ in pairs], [hypothesis for _, hypothesis in pairs]
    )
    assert word_error_rate(pairs).value == pytest.approx(expected)


def test_case_and_punctuation_do_not_count():
    assert word_errors("seven red cups", "Seven, red cups.") == (0, 3)
    assert normalise("  You said:  It's RED! ") == "you said it's red"


def test_an_empty_reference_counts_what_was_invented():
    assert word_errors("", "two words") == (2, 0)
    assert word_errors("two words", "") == (2, 2)


def test_intervals_hold_the_value_and_shrink_with_n():
    few = accuracy([True] * 8 + [False] * 2)
    many = accuracy(([True] * 8 + [False] * 2) * 40)
    for score in (few, many):
        assert score.value == pytest.approx(0.8)
        assert score.low <= score.value <= score.high
    assert many.high - many.low < few.high - few.low
    assert few == accuracy([True] * 8 + [False] * 2)


def test_nothing_scored_is_not_a_perfect_score():
    assert np.isnan(accuracy([]).value)
