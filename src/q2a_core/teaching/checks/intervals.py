"""The judge of lesson 08's bootstrap: random by nature, so it compares widths and places with room for chance."""

from typing import Any

import numpy as np

from q2a_core.evaluation.metrics import bootstrap
from q2a_core.teaching.checks.numbers import number
from q2a_core.teaching.exercise import Verdict, call, passed, wrong

ROUNDS, ORACLE_ROUNDS = 6000, 20_000
ROOM = 0.05
"""Of the interval's width: what two draws of so many rounds may differ by; chance alone reaches a fifth of it."""


def uneven_counts(seed: int, clips: int) -> np.ndarray:
    """(N, 2) errors and words of clips that differ in length, and the short ones are heard worse."""
    rng = np.random.default_rng(seed)
    words = rng.choice([2, 3, 20], size=clips)
    errors = rng.binomial(words, np.where(words < 10, 0.6, 0.1))
    # a clip is either heard or not: its words fail together
    errors = np.where(rng.random(clips) < 0.3, words, errors)
    return np.stack([errors, words], axis=1).astype(np.int64)


def interval_of(counts: np.ndarray, rng: np.random.Generator, rounds: int, **how: Any) -> tuple:
    """A bootstrap with one thing done otherwise: what the usual mistakes give."""
    clips = len(counts)
    drawn = rng.integers(clips, size=(rounds, clips))
    if how.get("apart"):
        other = rng.integers(clips, size=(rounds, clips))
        rates = counts[drawn, 0].sum(1) / counts[other, 1].sum(1)
    elif how.get("means"):
        rates = (counts[:, 0] / counts[:, 1])[drawn].mean(1)
    elif how.get("words"):
        share = counts[:, 0].sum() / counts[:, 1].sum()
        total = int(counts[:, 1].sum())
        rates = rng.binomial(total, share, size=rounds) / total
    else:
        rates = counts[drawn].sum(1)
        rates = rates[:, 0] / rates[:, 1]
    if how.get("extremes"):
        return float(rates.min()), float(rates.max())
    tail = how.get("tail", 0.025)
    low, high = np.quantile(rates, [tail, 1 - tail])
    return float(low), float(high)


WAYS: tuple[tuple[dict[str, Any], str], ...] = (
    (
        {"words": True},
        "far too narrow: you draw single words. The words of one clip fail together, so whole clips must be drawn.",
    ),
    (
        {"means": True},
        "you resample the clips' rates and average them; take the sums of what was drawn, and divide once.",
    ),
    ({"tail": 0.05}, "this is a 90 % interval; 95 % leaves out 2.5 % on either side."),
    ({"tail": 0.005}, "this is a 99 % interval; 95 % leaves out 2.5 % on either side."),
    ({"tail": 0.25}, "this is the middle half of the draws; 95 % leaves out 2.5 % on either side."),
    (
        {"apart": True},
        "errors and words come from two different draws; a clip keeps its errors and its words together.",
    ),
    (
        {"extremes": True},
        "these are the smallest and the largest draw; leave out 2.5 % on either side.",
    ),
)


def judge_interval(answer: Any) -> Verdict:
    """Low and high end of a 95 % bootstrap interval over clips."""
    corpora = [uneven_counts(seed, clips) for seed, clips in ((1, 60), (2, 150))]
    due, found, rows = [], [], []
    for seed, counts in enumerate(corpora):
        score = bootstrap(
            [(float(a), float(b)) for a, b in counts], seed=seed, rounds=ORACLE_ROUNDS
        )
        pair = call(answer, counts.copy(), np.random.default_rng(100 + seed), ROUNDS)
        if not hasattr(pair, "__len__") or len(pair) != 2:
            return wrong("return two numbers: the low and the high end.")
        due.append((score.low, score.high))
        found.append((number(pair[0]), number(pair[1])))
        rows.append(
            (
                f"{len(counts)} clips, rate {score.value:.1%}",
                f"{found[-1][0]:.1%} to {found[-1][1]:.1%}",
                f"{score.low:.1%} to {score.high:.1%}",
            )
        )
    if _agree(found, due):
        return passed(
            "two honest draws differ a little; the interval is the scatter that other clips would have given.",
            rows=tuple(rows),
        )
    return wrong(_reason(found, due, corpora), rows=tuple(rows))


def _reason(found: list[tuple], due: list[tuple], corpora: list[np.ndarray]) -> str:
    if not np.isfinite(found).all():
        return "an end is not finite: a rate of nothing drawn, or of no words, is no number."
    if _agree([pair[::-1] for pair in found], due):
        return "the ends are in the other order: low first."
    if _agree([(low / 100, high / 100) for low, high in found], due):
        return "these are per cent; return shares, such as 0.25."
    if all(high - low < 1e-9 for low, high in found):
        return (
            "every round gives the same: you draw each clip exactly once. Draw with replacement, so that some come "
            "twice and others not at all."
        )
    distances = []
    for how, _ in WAYS:
        given = [interval_of(counts, np.random.default_rng(7), ROUNDS, **how) for counts in corpora]
        distances.append(_distance(found, given))
    nearest = int(np.argmin(distances))
    if distances[nearest] <= 2 * ROOM:
        return WAYS[nearest][1]
    wide = [(a[1] - a[0]) / (b[1] - b[0]) for a, b in zip(found, due, strict=True)]
    if max(wide) < 0.85:
        return "too narrow: how many clips do you draw in a round? As many as there are, with replacement."
    if min(wide) > 1.15:
        return "too wide: how many clips do you draw in a round? As many as there are, with replacement."
    return "the width may pass, the place does not: take the rate of what was drawn, sums first."


def _agree(found: list[tuple], due: list[tuple]) -> bool:
    return _distance(found, due) <= ROOM


def _distance(found: list[tuple], due: list[tuple]) -> float:
    """How far an end is off at most, as a share of the due interval's width."""
    ours, right = np.array(found), np.array(due)
    # NumPy's maximum keeps a NaN, which Python's loses
    return float((abs(ours - right) / (right[:, 1:] - right[:, :1])).max())
