"""Scores of single replies, and what a set of scores says about the model."""

import re
from dataclasses import dataclass

import numpy as np

BOOTSTRAP_ROUNDS = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    n: int


def normalise(text: str) -> str:
    """Lower case, letters and digits only, single spaces: what word error rates are counted on here."""
    return " ".join(re.sub(r"[^a-z0-9' ]+", " ", text.lower()).split())


def word_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """Substitutions, deletions and insertions to get from reference to hypothesis, and the reference's words."""
    import jiwer

    reference, hypothesis = normalise(reference), normalise(hypothesis)
    words = len(reference.split())
    if not words:
        return len(hypothesis.split()), 0
    result = jiwer.process_words(reference, hypothesis)
    return result.substitutions + result.deletions + result.insertions, words


def word_error_rate(pairs: list[tuple[str, str]], *, seed: int = 0) -> Score:
    """Corpus-level WER over (reference, hypothesis) pairs; the interval resamples clips."""
    counts = np.array([word_errors(*pair) for pair in pairs], dtype=np.float64).reshape(-1, 2)
    return _bootstrap(counts, seed)


def accuracy(correct: list[bool], *, seed: int = 0) -> Score:
    """Share of correct replies."""
    counts = np.array([[float(hit), 1.0] for hit in correct]).reshape(-1, 2)
    return _bootstrap(counts, seed)


def _bootstrap(counts: np.ndarray, seed: int) -> Score:
    """The ratio of column sums, and its 95 % interval over resampled rows."""
    if not len(counts) or not counts[:, 1].sum():
        return Score(value=float("nan"), low=float("nan"), high=float("nan"), n=len(counts))
    rng = np.random.default_rng(seed)
    draws = counts[rng.integers(len(counts), size=(BOOTSTRAP_ROUNDS, len(counts)))].sum(1)
    ratios = draws[:, 0] / np.maximum(draws[:, 1], 1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    value = counts[:, 0].sum() / counts[:, 1].sum()
    return Score(value=float(value), low=float(low), high=float(high), n=len(counts))
