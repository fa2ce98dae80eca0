"""Scores of single replies, and what a set of scores says about the model."""

import math
import re
from dataclasses import dataclass

import numpy as np

from q2a_core.evaluation.normalisers import normalise_for
from q2a_core.intervals import wilson

BOOTSTRAP_ROUNDS = 2000
DRAWS_AT_ONCE = 2**20
"""Clips that are drawn into memory at a time, whole rounds of them; the draws are the same whatever it is."""
INTERVALS = "95 %, bootstrap over clips; Wilson's for shares of 0 and 100 %"
"""How a report says it."""
FALSE_YES = "share of yes"
"""Metric of what should not be said: how often a reply begins with yes where the truth is no."""
LOWER_IS_BETTER = ("WER", "CER", FALSE_YES)
"""Metrics that are costs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A figure with its 95 % interval: by bootstrap, unless its maker says otherwise."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedTest:
    """Two models on the same items, by the items on which they differ."""

    only_first: int
    """Items that the first alone gets right."""
    only_second: int
    """Items that the second alone gets right."""
    p: float
    """Two-sided: how likely so uneven a split is if both were equally good."""


def normalise(text: str) -> str:
    """Lower case, letters and digits only, single spaces: what error rates are counted on if no language is named."""
    return " ".join(re.sub(r"[^a-z0-9' ]+", " ", text.lower()).split())


def word_errors(reference: str, hypothesis: str, *, language: str | None = None) -> tuple[int, int]:
    """Substitutions, deletions and insertions to get from reference to hypothesis, and the reference's words.

    With a language both are normalised as the official scripts do; "seven" and "7" are then the same.
    """
    import jiwer

    reference, hypothesis = _normalised(reference, language), _normalised(hypothesis, language)
    words = len(reference.split())
    if not words:
        return len(hypothesis.split()), 0
    result = jiwer.process_words(reference, hypothesis)
    return result.substitutions + result.deletions + result.insertions, words


def character_errors(reference: str, hypothesis: str, *, language: str) -> tuple[int, int]:
    """The same by characters; a space is one, but in languages written without them, such as Chinese, none is left."""
    import jiwer

    reference, hypothesis = _normalised(reference, language), _normalised(hypothesis, language)
    if not reference:
        return len(hypothesis), 0
    result = jiwer.process_characters(reference, hypothesis)
    return result.substitutions + result.deletions + result.insertions, len(reference)


def word_error_rate(
    pairs: list[tuple[str, str]], *, language: str | None = None, seed: int = 0
) -> Score:
    """Corpus-level WER over (reference, hypothesis) pairs; the interval resamples clips."""
    return bootstrap([word_errors(*pair, language=language) for pair in pairs], seed)


def character_error_rate(pairs: list[tuple[str, str]], *, language: str, seed: int = 0) -> Score:
    """Corpus-level CER, for languages without spaces (of Chinese the paper calls it WER) and German."""
    return bootstrap([character_errors(*pair, language=language) for pair in pairs], seed)


def accuracy(correct: list[bool], *, seed: int = 0) -> Score:
    """Share of correct replies.

    Where all or none are correct the interval is Wilson's score interval: every resampling would draw the same share,
    and a width of 0 would claim that other clips are sure to give it too. Elsewhere it is the bootstrap's.
    """
    score = bootstrap([(hit, 1) for hit in correct], seed)
    if score.value not in (0.0, 1.0):
        return score
    low, high = wilson(sum(correct) / len(correct), len(correct))
    return Score(value=score.value, low=low, high=high, n=score.n)


def mean(values: list[float], *, seed: int = 0) -> Score:
    """The mean of marks, such as a judge's 0 to 10."""
    return bootstrap([(value, 1) for value in values], seed)


def bootstrap(
    rows: list[tuple[float, float]], seed: int = 0, *, rounds: int = BOOTSTRAP_ROUNDS
) -> Score:
    """The ratio of column sums, and its 95 % interval over resampled rows.

    Rows that are all alike give an interval without a width; for what that does not say see `unseen_errors`.
    """
    counts = np.array(rows, dtype=np.float64).reshape(-1, 2)
    if not len(counts) or not counts[:, 1].sum():
        return Score(value=float("nan"), low=float("nan"), high=float("nan"), n=len(counts))
    rng = np.random.default_rng(seed)
    clips = len(counts)
    draws = np.concatenate(
        [
            counts[rng.integers(clips, size=(some, clips))].sum(1)
            for some in rounds_at_once(rounds, clips)
        ]
    )
    ratios = draws[:, 0] / np.maximum(draws[:, 1], 1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    value = counts[:, 0].sum() / counts[:, 1].sum()
    return Score(value=float(value), low=float(low), high=float(high), n=len(counts))


def rounds_at_once(rounds: int, clips: int) -> list[int]:
    """How many rounds of so many clips are drawn at a time."""
    some = min(max(DRAWS_AT_ONCE // clips, 1), rounds)
    rest = rounds % some
    return [some] * (rounds // some) + ([rest] if rest else [])


def unseen_errors(clips: int) -> float:
    """The rule of three: the share of clips that may hold an error (95 %) though none of so many did."""
    return min(3 / clips, 1.0)


def mcnemar(first: list[bool], second: list[bool]) -> PairedTest:
    """McNemar's exact test of two models' right and wrong answers to the same items."""
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    differing = only_first + only_second
    tail = sum(math.comb(differing, k) for k in range(min(only_first, only_second) + 1))
    p = min(1.0, 2 * tail / 2**differing)
    return PairedTest(only_first=only_first, only_second=only_second, p=p)


def _normalised(text: str, language: str | None) -> str:
    return normalise(text) if language is None else normalise_for(text, language)
