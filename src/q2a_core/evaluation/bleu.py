"""BLEU of translations through sacrebleu, with its signature and an interval over clips.

The official scripts' settings: tokeniser `zh` for Chinese, `ja-mecab` for Japanese, 13a for the rest, case kept, no
normalisation before. 13a takes a sentence without spaces for one word: Cantonese is cut as Chinese is, and other such
languages, with Japanese where MeCab is not installed, into characters. The n-gram counts of each sentence are taken
once; the interval resamples them.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module

import numpy as np

from q2a_core.evaluation.metrics import BOOTSTRAP_ROUNDS, Score, rounds_at_once
from q2a_core.evaluation.normalisers import WITHOUT_SPACES

ORDER = 4
"""Longest n-gram. A corpus of sentences that are all shorter has no BLEU: sacrebleu says 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BleuScore(Score):
    """BLEU from 0 to 100, its interval, and how it was counted."""

    signature: str
    """sacrebleu's own, to print beside the figure."""


def bleu(pairs: list[tuple[str, str]], *, language: str, seed: int = 0) -> BleuScore:
    """Corpus BLEU over (reference, hypothesis) pairs; `language` is the one translated into."""
    signature = _signature(language)
    if not pairs:
        nan = float("nan")
        return BleuScore(value=nan, low=nan, high=nan, n=0, signature=signature)
    counts = _sentence_counts(pairs, language)
    low, high = np.quantile(_resampled(counts, seed), [0.025, 0.975])
    value = _bleu(counts.sum(0))
    return BleuScore(
        value=value, low=float(low), high=float(high), n=len(pairs), signature=signature
    )


def tokeniser(language: str) -> str:
    """sacrebleu's name of what cuts sentences of a language into words."""
    if language in ("zh", "yue"):
        return "zh"
    if language == "ja" and has_mecab():
        return "ja-mecab"
    return "char" if language in WITHOUT_SPACES else "13a"


def tokeniser_remark(language: str) -> str | None:
    """What a report says where another tokeniser than the official one had to be taken."""
    if language == "ja" and not has_mecab():
        return "n-grams of characters; the official ja-mecab needs pip install sacrebleu[ja]"
    return None


@cache
def has_mecab() -> bool:
    """Whether Japanese can be cut into words: sacrebleu's tokeniser asks for both, and is not made without them."""
    try:
        import_module("MeCab")
        import_module("ipadic")
    except ImportError:
        return False
    return True


def _metric(language: str, *, effective_order: bool = False):
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=tokeniser(language), effective_order=effective_order)


def _signature(language: str) -> str:
    metric = _metric(language)
    metric.corpus_score(["a"], [["a"]])  # the signature asks how many references there were
    return str(metric.get_signature())


def _sentence_counts(pairs: list[tuple[str, str]], language: str) -> np.ndarray:
    """Per clip (N, 10): matching n-grams, n-grams of the hypothesis, and both lengths."""
    # the effective order touches a sentence's score alone, which isn't used; without it sacrebleu logs a warning
    metric = _metric(language, effective_order=True)
    scores = [metric.sentence_score(hypothesis, [reference]) for reference, hypothesis in pairs]
    return np.array([[*s.counts, *s.totals, s.sys_len, s.ref_len] for s in scores], dtype=np.int64)


def _bleu(sums: np.ndarray) -> float:
    from sacrebleu.metrics.bleu import BLEU

    counts = [int(count) for count in sums]
    return BLEU.compute_bleu(
        counts[:ORDER], counts[ORDER : 2 * ORDER], counts[-2], counts[-1], smooth_method="exp"
    ).score


def _resampled(counts: np.ndarray, seed: int) -> np.ndarray:
    """BLEU of each round (rounds,)."""
    clips = len(counts)
    rng = np.random.default_rng(seed)
    shares = np.full(clips, 1 / clips)
    return np.array(
        [
            _bleu(sums)
            for some in rounds_at_once(BOOTSTRAP_ROUNDS, clips)
            for sums in rng.multinomial(clips, shares, size=some) @ counts
        ]
    )
