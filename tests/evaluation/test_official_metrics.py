"""Error rates, BLEU and McNemar's test against jiwer, sacrebleu and scipy."""

import sys
from importlib.util import find_spec

import jiwer
import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from scipy.stats import binomtest

from q2a_core.evaluation import metrics
from q2a_core.evaluation.bleu import bleu, has_mecab, tokeniser, tokeniser_remark
from q2a_core.evaluation.metrics import (
    character_error_rate,
    mcnemar,
    mean,
    word_error_rate,
    word_errors,
)
from q2a_core.evaluation.normalisers import normalise_for

RNG = np.random.default_rng(0)


def sentences(words: list[str], count: int, low: int = 4, high: int = 9, glue: str = " ") -> list:
    """Pairs of a sentence and a damaged copy."""
    pairs = []
    for _ in range(count):
        reference = [str(word) for word in RNG.choice(words, RNG.integers(low, high))]
        damaged = [str(RNG.choice(words)) if RNG.random() < 0.2 else word for word in reference]
        pairs.append((glue.join(reference), glue.join(damaged)))
    return pairs


ENGLISH = sentences(["the", "cat's", "grey", "dog", "isn't", "in", "colour", "he'll"], 40)
GERMAN = sentences(["die", "Tür", "ist", "grün", "und", "groß", "heißt", "Öl"], 40)
CHINESE = sentences(list("猫狗红色的是一只三"), 40, glue="")
JAPANESE = sentences(["今日", "は", "天気", "が", "とても", "いい", "です", "、"], 40, glue="")
THAI = sentences(["ที่นี่", "ดี", "มาก", "น้ำ", "ครับ"], 40, glue="")
MECAB = find_spec("MeCab") and find_spec("ipadic")


def normalised(pairs, language):
    return [[normalise_for(text, language) for text in side] for side in zip(*pairs, strict=True)]


def test_english_word_errors_are_jiwers_on_normalised_text():
    score = word_error_rate(ENGLISH, language="en")
    assert score.value == pytest.approx(jiwer.wer(*normalised(ENGLISH, "en")))
    assert score.low <= score.value <= score.high
    assert word_errors("seven red cups", "7 red cups", language="en")[0] == 0
    assert word_errors("seven red cups", "7 red cups")[0] == 1


@pytest.mark.parametrize(
    ("pairs", "language"),
    [(GERMAN, "de"), (CHINESE, "zh"), (CHINESE, "yue"), (JAPANESE, "ja"), (THAI, "th")],
)
def test_character_errors_are_jiwers_on_normalised_text(pairs, language):
    score = character_error_rate(pairs, language=language)
    assert score.value == pytest.approx(jiwer.cer(*normalised(pairs, language)))


@pytest.mark.parametrize("language", ["zh", "yue", "ja", "th"])
def test_where_no_spaces_are_written_none_is_an_error(language):
    pairs = [("你好，世界。", "你好世界"), ("你好 世界", "你好世")]
    assert character_error_rate(pairs, language=language).value == 1 / 8


def test_an_empty_truth_counts_the_characters_that_were_invented():
    assert character_error_rate([("", "猫"), ("狗", "狗")], language="zh").value == 1.0


@pytest.mark.parametrize(
    ("pairs", "language", "tokeniser"),
    [
        (GERMAN, "de", "13a"),
        (CHINESE, "zh", "zh"),
        (CHINESE, "yue", "zh"),
        (JAPANESE, "ja", "ja-mecab" if MECAB else "char"),
        (THAI, "th", "char"),
    ],
)
def test_bleu_and_its_interval_are_sacrebleus(pairs, language, tokeniser):
    references, hypotheses = map(list, zip(*pairs, strict=True))
    oracle = BLEU(tokenize=tokeniser)
    expected = oracle.corpus_score(hypotheses, [references], n_bootstrap=1000)
    score = bleu(pairs, language=language)
    assert score.value == pytest.approx(expected.score)
    assert score.n == 40
    assert f"tok:{tokeniser}" in score.signature
    spread = (score.high - score.low) / 2
    assert spread == pytest.approx(expected._ci, rel=0.15)
    assert bleu(pairs, language=language) == score


def test_japanese_without_mecab_is_told(monkeypatch):
    assert (tokeniser_remark("ja") is None) == bool(MECAB)
    assert not any(map(tokeniser_remark, ("zh", "yue", "de", "en")))
    monkeypatch.setitem(sys.modules, "MeCab", None)
    has_mecab.cache_clear()
    assert tokeniser("ja") == "char"
    assert "ja-mecab" in tokeniser_remark("ja")
    has_mecab.cache_clear()


def test_the_interval_of_bleu_is_the_same_however_many_clips_are_drawn_at_once(monkeypatch):
    whole = bleu(GERMAN, language="de")
    monkeypatch.setattr(metrics, "DRAWS_AT_ONCE", 700)
    assert bleu(GERMAN, language="de") == whole


def test_bleu_at_its_ends():
    same = [(reference, reference) for reference, _ in GERMAN]
    assert bleu(same, language="de").low == pytest.approx(100)
    assert bleu([(reference, "") for reference, _ in GERMAN], language="de").high == 0
    assert np.isnan(bleu([], language="de").value)


@pytest.mark.parametrize(("gain", "loss"), [(0, 0), (1, 0), (8, 1), (30, 12), (700, 640)])
def test_mcnemar_is_the_exact_binomial_test(gain, loss):
    first = [True] * 20 + [False] * gain + [True] * loss
    second = [True] * 20 + [True] * gain + [False] * loss
    test = mcnemar(first, second)
    assert (test.only_second, test.only_first) == (gain, loss)
    expected = binomtest(gain, gain + loss).pvalue if gain + loss else 1.0
    assert test.p == pytest.approx(expected)


def test_mcnemar_refuses_unequal_items():
    with pytest.raises(ValueError, match="shorter"):
        mcnemar([True], [])


def test_means_of_marks():
    score = mean([2.0, 4.0, 9.0])
    assert score.value == pytest.approx(5.0)
    assert 2.0 <= score.low <= 5.0 <= score.high <= 9.0
