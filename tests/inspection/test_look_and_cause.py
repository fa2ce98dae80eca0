"""Looks add up to attention, and rank correlation is scipy's."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from q2a_core.inspection.attention_views import reply_attention
from q2a_core.inspection.causes import causal_map
from q2a_core.inspection.edits import AUDIO_TOKENS, windows
from q2a_core.inspection.look_and_cause import (
    LookAndCause,
    compare_words,
    look_by_window,
    rank_correlation,
    telling_word,
)


def test_windows_hold_what_their_tokens_hold(case):
    spans = windows(case.num_tokens, 5)
    look = look_by_window(case, spans, 1, 3)
    assert look.shape == (case.model.config.decoder.num_layers, len(spans))
    audio = reply_attention(case, 1).audio
    np.testing.assert_allclose(look[1, 2], audio[:, 1:3, 10:15].sum(-1).mean(), rtol=1e-5)
    share = reply_attention(case, 0).share[..., 0]
    whole = look_by_window(case, spans)
    np.testing.assert_allclose(whole[0].sum(), share.mean(), rtol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_rank_correlation_is_scipys_with_ties_too(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=20), rng.integers(0, 5, size=20)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert rank_correlation(a, np.exp(3 * a)) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)


def test_nothing_to_compare_is_said():
    assert np.isnan(rank_correlation(np.ones(4), np.arange(4)))


def test_each_words_windows_are_those_of_the_two_maps(case):
    cause = causal_map(case, fill="mean", rng=np.random.default_rng(0), only=[AUDIO_TOKENS])
    compared = compare_words(case, cause)
    assert [one.word for one in compared] == case.words
    for one in compared:
        change = cause.of(one.word.first, one.word.stop)[0]
        assert one.harm == pytest.approx(-change.min())
        assert change[one.hurts_most] == change.min()
        look = look_by_window(case, cause.windows, one.word.first, one.word.stop)
        assert look.mean(axis=0)[one.read_most] == look.mean(axis=0).max()


def test_the_telling_word_has_two_windows_if_any_has(case):
    def one(read_most, hurts_most, harm):
        word = case.words[0]
        return LookAndCause(word=word, read_most=read_most, hurts_most=hurts_most, harm=harm)

    alike, apart, faint = one(1, 1, 5.0), one(1, 2, 0.7), one(3, 2, 0.1)
    assert telling_word([faint, alike, apart]) is apart
    assert telling_word([alike, one(4, 4, 6.0)]).harm == 6.0
