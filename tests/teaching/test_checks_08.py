"""Lesson 08's exercises: right answers pass, and every usual mistake is called by its name."""

import math

import jiwer
import numpy as np
import pytest

from q2a_core import presets
from q2a_core.evaluation.paper_figures import PAPER, leaders, mark_behind_average
from q2a_core.teaching.checks import check, exercises_of
from q2a_core.teaching.checks.intervals import interval_of


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """What passes is noted there."""
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))


def edits(reference, hypothesis, *, substitution=1, deletion=1, insertion=1, edge=1):
    """A table of its own, whole."""
    table = np.zeros((len(reference) + 1, len(hypothesis) + 1))
    table[:, 0] = edge * deletion * np.arange(len(reference) + 1)
    table[0] = edge * insertion * np.arange(len(hypothesis) + 1)
    for i, word in enumerate(reference):
        for j, other in enumerate(hypothesis):
            table[i + 1, j + 1] = min(
                table[i, j] + substitution * (word != other),
                table[i, j + 1] + deletion,
                table[i + 1, j] + insertion,
            )
    return int(table[-1, -1])


def edits_by_recursion(reference, hypothesis):
    if not reference or not hypothesis:
        return len(reference) + len(hypothesis)
    if reference[0] == hypothesis[0]:
        return edits_by_recursion(reference[1:], hypothesis[1:])
    return 1 + min(
        edits_by_recursion(reference[1:], hypothesis),
        edits_by_recursion(reference, hypothesis[1:]),
        edits_by_recursion(reference[1:], hypothesis[1:]),
    )


def by_jiwer(reference, hypothesis):
    if not reference:
        return len(hypothesis)
    found = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    return found.substitutions + found.deletions + found.insertions


def rate(counts):
    return sum(e for e, _ in counts) / sum(w for _, w in counts)


def rate_by_numpy(counts):
    errors, words = np.array(counts).sum(0)
    return errors / words


def interval(counts, rng, rounds, **how):
    return interval_of(counts, rng, rounds, **how)


def interval_by_loops(counts, rng, rounds):
    rates = []
    for _ in range(rounds):
        drawn = counts[rng.choice(len(counts), size=len(counts), replace=True)]
        rates.append(drawn[:, 0].sum() / drawn[:, 1].sum())
    return np.percentile(rates, [2.5, 97.5])


def fair(straight, swapped):
    lead = (straight[0] - straight[1] + swapped[0] - swapped[1]) / 2
    return (straight[1] + swapped[0]) / 2, lead


def cache(decoder, positions, itemsize):
    vectors = 2 * decoder.num_layers * decoder.num_kv_heads * positions
    return vectors * (decoder.d_model // decoder.num_heads) * itemsize


def memory(parameters, decoder, positions, itemsize):
    return parameters * itemsize + cache(decoder, positions, itemsize)


def with_cache(change):
    """Right weights, and a cache of one's own."""
    return lambda w, d, p, s: w * s + change(d, p, s)


RIGHT = {
    "08.edits": [edits, edits_by_recursion, by_jiwer, lambda r, h: np.array([edits(r, h)])],
    "08.rate": [rate, rate_by_numpy],
    "08.interval": [interval, interval_by_loops],
    "08.fair": [fair, lambda straight, swapped: list(fair(straight, swapped))],
    "08.hidden": [
        lambda a, b, c, average: 4 * average - a - b - c,
        lambda a, b, c, average: round(4 * average - (a + b + c), 2),
    ],
    "08.memory": [
        memory,
        with_cache(lambda d, p, s: d.kv_bytes(p, itemsize=s)),
        lambda w, d, p, s: np.float64(memory(w, d, p, s)),
        lambda w, d, p, s: np.array([memory(w, d, p, s)]),
    ],
}


def drawn_without_replacement(counts, rng, rounds):
    rates = [counts[rng.permutation(len(counts))].sum(0) for _ in range(rounds)]
    return np.quantile([a / b for a, b in rates], [0.025, 0.975])


def few_clips(counts, rng, rounds):
    rates = [counts[rng.integers(len(counts), size=10)].sum(0) for _ in range(rounds)]
    return np.quantile([a / b for a, b in rates], [0.025, 0.975])


def zipped(r, h):
    return sum(a != b for a, b in zip(r, h, strict=False))


def no_silent_clips(counts):
    spoken = [(e, w) for e, w in counts if w]
    return rate(spoken)


WRONG = [
    ("08.edits", zipped, "drops what is left over"),
    ("08.edits", lambda r, h: zipped(r, h) + abs(len(r) - len(h)), "missing word at the front"),
    ("08.edits", lambda r, h: abs(len(r) - len(h)), "difference of the lengths"),
    ("08.edits", lambda r, h: edits(r, h, substitution=2), "a substitution is one error"),
    ("08.edits", lambda r, h: edits(r, h, insertion=0), "an insertion is an error too"),
    ("08.edits", lambda r, h: edits(r, h, deletion=0), "a deletion is an error too"),
    ("08.edits", lambda r, h: edits(r, h, edge=0), "border of your table is zero"),
    ("08.edits", lambda r, h: edits(" ".join(r), " ".join(h)), "errors by character"),
    ("08.edits", lambda r, h: len(set(r) ^ set(h)), "two sets of words"),
    ("08.edits", lambda r, h: len(r) - edits(r, h), "words that are right"),
    ("08.edits", lambda r, h: edits(r, h) / max(len(r), 1), "already divided"),
    ("08.edits", lambda r, h: 0, "too few errors"),
    ("08.edits", lambda r, h: len(r) + len(h), "more errors than are needed"),
    ("08.rate", lambda c: np.mean([e / w for e, w in c]), "mean of the clips' rates"),
    ("08.rate", lambda c: np.mean([min(e / w, 1) for e, w in c]), "capped at 100 % and then"),
    ("08.rate", lambda c: min(1.0, rate(c)), "the rate is capped"),
    ("08.rate", lambda c: 100 * rate(c), "this is per cent"),
    ("08.rate", lambda c: 1 - rate(c), "word accuracy"),
    ("08.rate", lambda c: sum(e for e, _ in c) / len(c), "errors in a clip"),
    ("08.rate", lambda c: 1 / rate(c), "stands on its head"),
    ("08.rate", no_silent_clips, "invented words are errors"),
    ("08.interval", lambda *a: interval(*a, words=True), "whole clips must be drawn"),
    ("08.interval", lambda *a: interval(*a, means=True), "clips' rates and average"),
    ("08.interval", lambda *a: interval(*a, tail=0.05), "90 % interval"),
    ("08.interval", lambda *a: interval(*a, apart=True), "two different draws"),
    ("08.interval", lambda *a: interval(*a, extremes=True), "smallest and the largest"),
    ("08.interval", lambda *a: interval(*a)[::-1], "low first"),
    ("08.interval", lambda *a: [100 * x for x in interval(*a)], "these are per cent"),
    ("08.interval", drawn_without_replacement, "each clip exactly once"),
    ("08.interval", few_clips, "too wide"),
    ("08.interval", lambda *a: (interval(*a)[0], math.nan), "not finite"),
    ("08.interval", lambda *a: (0.1, math.inf), "not finite"),
    ("08.interval", lambda *a: interval(*a)[0], "return two numbers"),
    ("08.fair", lambda a, b: ((a[1] + b[1]) / 2, fair(a, b)[1]), "the second place twice"),
    ("08.fair", lambda a, b: ((a[0] + b[1]) / 2, fair(a, b)[1]), "the reference's mark"),
    ("08.fair", lambda a, b: ((a[0] + b[0]) / 2, fair(a, b)[1]), "whatever came first"),
    ("08.fair", lambda a, b: (a[1], fair(a, b)[1]), "first round alone"),
    ("08.fair", lambda a, b: (a[1] + b[0], fair(a, b)[1]), "sum of two marks"),
    ("08.fair", lambda a, b: (fair(a, b)[0], -fair(a, b)[1]), "sign is turned round"),
    ("08.fair", lambda a, b: (fair(a, b)[0], 2 * fair(a, b)[1]), "not halved"),
    (
        "08.fair",
        lambda a, b: (fair(a, b)[0], (a[0] + b[1] - a[1] - b[0]) / 2),
        "how much better the reference is",
    ),
    ("08.fair", lambda a, b: fair(a, b)[::-1], "other order"),
    ("08.fair", lambda a, b: fair(a, b)[0], "return two numbers"),
    ("08.hidden", lambda a, b, c, m: 3 * m - a - b - c, "you multiply by three"),
    ("08.hidden", lambda a, b, c, m: 4 * m - (a + b + c) / 3, "take their sum"),
    ("08.hidden", lambda a, b, c, m: (a + b + c) / 3, "mean of the three known"),
    ("08.hidden", lambda a, b, c, m: a + b + c - 4 * m, "sign is turned round"),
    ("08.hidden", lambda a, b, c, m: (a + b + c + m) / 4, "once more"),
    (
        "08.hidden",
        lambda a, b, c, m: min(max(4 * m - a - b - c, 0), 10),
        "a mark that cannot be is the evidence",
    ),
    ("08.memory", lambda w, d, p, s: cache(d, p, s), "the cache alone"),
    ("08.memory", lambda w, d, p, s: w * s, "the weights alone"),
    ("08.memory", with_cache(lambda d, p, s: cache(d, p, s) / 2), "keys and values are both kept"),
    (
        "08.memory",
        with_cache(lambda d, p, s: 2 * d.num_layers * d.num_heads * d.head_dim * p * s),
        "two query heads share",
    ),
    ("08.memory", with_cache(lambda d, p, s: cache(d, p, s) / d.num_layers), "of one layer"),
    ("08.memory", lambda w, d, p, s: memory(w, d, p, 1), "not bytes"),
    ("08.memory", lambda w, d, p, s: w + cache(d, p, s), "weights are counted and not weighed"),
    ("08.memory", with_cache(lambda d, p, s: cache(d, p, 1)), "the numbers of the cache"),
    ("08.memory", lambda *case: 8 * memory(*case), "these are bits"),
    ("08.memory", lambda *case: memory(*case) / 2**30, "this is in GiB"),
    ("08.memory", lambda *case: memory(*case) / 1e9, "this is in gigabytes"),
    ("08.memory", with_cache(lambda d, p, s: p * cache(d, p, s)), "not with their square"),
    ("08.memory", lambda w, d, p, s: p * memory(w, d, 1, s), "the weights are there once"),
    ("08.memory", lambda w, d, p, s: 17, "in every layer"),
]


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_pass(name):
    for answer in RIGHT[name]:
        verdict = check(name, answer)
        assert verdict, verdict


@pytest.mark.parametrize(("name", "answer", "phrase"), WRONG, ids=[f"{w[0]} {w[2]}" for w in WRONG])
def test_usual_mistakes_are_called_by_their_names(name, answer, phrase):
    verdict = check(name, answer)
    assert verdict.state == "wrong"
    assert phrase in verdict.message, verdict.message


@pytest.mark.parametrize("item", exercises_of("08"), ids=lambda item: item.id)
def test_stubs_and_garbage_get_a_sentence(item):
    assert check(item.id, lambda *arguments: None).state == "unfilled"
    assert check(item.id, None).state == "unfilled"
    for garbage in (lambda *arguments: "many", lambda: 0, 3):
        verdict = check(item.id, garbage)
        assert verdict.state == "wrong"
        assert "Traceback" not in verdict.message
        assert len(verdict.message) > 40


def test_every_exercise_has_three_planted_mistakes():
    for item in exercises_of("08"):
        assert sum(name == item.id for name, *_ in WRONG) >= 3
        assert item.id in RIGHT


def test_the_average_explains_three_misprints_and_convicts_a_fourth():
    row = PAPER["air_bench"]
    behind = {
        system: mark_behind_average(figures[:3], figures[3])  # type: ignore[arg-type]
        for system, figures in row.results.items()
    }
    explained = {
        system
        for (system, _), right in row.corrections.items()
        if math.isclose(behind[system], right, abs_tol=0.05)
    }
    assert explained == {"BLSP", "PandaGPT", "Qwen-Audio"}
    assert behind["SpeechGPT"] > 10


def test_leaders_are_read_from_the_printed_figures():
    assert leaders(PAPER["meld"], "test") == ["Qwen-Audio"]
    assert leaders(PAPER["aishell2"], "iOS") == ["Paraformer-large"]
    assert leaders(PAPER["covost_romance"], "fr-en") == ["Qwen-Audio", "Qwen2-Audio"]
    assert leaders(PAPER["librispeech"], "test-clean") == ["Qwen2-Audio"]


def test_memory_of_mini_tells_query_heads_from_key_heads():
    decoder = presets.mini().decoder
    assert decoder.num_kv_heads < decoder.num_heads
