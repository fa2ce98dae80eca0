"""Scores against jiwer and against cases counted by hand."""

import tracemalloc

import jiwer
import numpy as np
import pytest

from q2a_core.evaluation import metrics
from q2a_core.evaluation.metrics import (
    accuracy,
    bootstrap,
    normalise,
    unseen_errors,
    word_error_rate,
    word_errors,
)
from q2a_core.evaluation.tables import report_table, without_errors

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


@pytest.mark.parametrize("at_once", [1, 700, 2**20])
@pytest.mark.parametrize("clips", [1, 37, 300, 2100])
def test_intervals_are_the_same_however_many_clips_are_drawn_at_once(monkeypatch, clips, at_once):
    monkeypatch.setattr(metrics, "DRAWS_AT_ONCE", at_once)
    rows = np.random.default_rng(clips).random((clips, 2)) * 10
    draws = rows[np.random.default_rng(5).integers(clips, size=(2000, clips))].sum(1)
    low, high = np.quantile(draws[:, 0] / np.maximum(draws[:, 1], 1), [0.025, 0.975])
    score = bootstrap([tuple(row) for row in rows], 5)
    assert (score.low, score.high) == (low, high)


def test_many_clips_are_drawn_in_little_memory():
    rows = [(1.0, 5.0)] * 30_000
    tracemalloc.start()
    try:
        score = bootstrap(rows, rounds=100)
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()
    assert (score.low, score.high) == (0.2, 0.2)


@pytest.mark.parametrize("hit", [True, False])
def test_all_right_or_all_wrong_is_not_certain(hit):
    few, many = accuracy([hit] * 32), accuracy([hit] * 3200)
    for score in (few, many):
        assert score.value == hit
        assert score.low <= score.value <= score.high
    assert few.high - few.low > 10 * (many.high - many.low) > 0


def test_one_other_answer_leaves_it_to_the_bootstrap():
    hits = [True] * 31 + [False]
    assert accuracy(hits) == bootstrap([(hit, 1) for hit in hits])


def test_no_error_says_what_it_does_not_show():
    def row(suite, metric, score):
        ends = {name: getattr(score, name) for name in ("value", "low", "high", "n")}
        return {"suite": suite, "metric": metric, "score": ends}

    perfect = word_error_rate([("red cup", "red cup")] * 30)
    assert (perfect.low, perfect.high) == (0, 0)
    some = word_error_rate([("red cup", "red cup")] * 29 + [("red cup", "red")])
    rows = [row("clean", "WER", perfect), row("noisy", "WER", some)]
    rows.append(row("sound", "accuracy", accuracy([False] * 30)))
    report = {"checkpoint": {"name": "any", "hash": "0"}, "rows": rows}
    [sentence] = without_errors(report)
    assert sentence in report_table(report)
    assert sentence.startswith("clean: no error in 30 clips")
    assert "10.0%" in sentence
    assert unseen_errors(30) == pytest.approx(0.1)
    assert unseen_errors(2) == 1
