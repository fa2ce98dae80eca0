"""Where a word looks, window by window, to be laid beside what the word needs there (`causes.py`).

Attention weights and changes in nats have no common unit. What can be compared is their order: does the window that
is read most also hurt most when it is overwritten? Rank correlation says so in one number, 1 for the same order, 0 for
none. And in two places: `compare_words` says for each word of a reply which window is read most and which one hurts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from q2a_core.inspection.attention_views import reply_attention
from q2a_core.inspection.case import Case
from q2a_core.inspection.causes import CausalMap
from q2a_core.inspection.edits import AUDIO_TOKENS
from q2a_core.inspection.words import Word


@dataclass(frozen=True, kw_only=True, slots=True)
class LookAndCause:
    """The two strongest windows of one word, by their place in the map."""

    word: Word
    read_most: int
    """Window with most attention, in the mean of the decoder blocks."""
    hurts_most: int
    """Window whose overwriting costs the word most."""
    harm: float
    """Nats that it costs."""

    @property
    def differ(self) -> bool:
        """Whether looking and causing point to two windows."""
        return self.read_most != self.hurts_most


def look_by_window(
    case: Case, spans: Sequence[tuple[int, int]], first: int = 0, stop: int | None = None
) -> np.ndarray:
    """Weight (L, windows) that reply tokens [first, stop) lay on each range of audio tokens, by decoder block.

    The mean over heads and over the reply tokens, the sum over a range. What is missing from 1 in a row lies on text.
    """
    rows = []
    for layer in range(case.model.config.decoder.num_layers):
        weights = reply_attention(case, layer).audio[:, first:stop].mean(axis=(0, 1))
        rows.append([weights[start:end].sum() for start, end in spans])
    return np.array(rows)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two series (W,): -1 to 1; equal values share the mean of their ranks.

    NaN where one of them never changes: then there is no order to compare.
    """
    from scipy.stats import rankdata

    ranks_a, ranks_b = rankdata(a), rankdata(b)
    a0, b0 = ranks_a - ranks_a.mean(), ranks_b - ranks_b.mean()
    size = float(np.sqrt((a0**2).sum() * (b0**2).sum()))
    return float((a0 * b0).sum()) / size if size > 0 else float("nan")


def compare_words(case: Case, cause: CausalMap) -> list[LookAndCause]:
    """Every word of the reply, in order; `cause` must have been measured at the audio tokens."""
    row, found = cause.sites.index(AUDIO_TOKENS), []
    for word in case.words:
        look = look_by_window(case, cause.windows, word.first, word.stop).mean(axis=0)
        harm = -cause.of(word.first, word.stop)[row]
        place = int(harm.argmax())
        found.append(
            LookAndCause(
                word=word, read_most=int(look.argmax()), hurts_most=place, harm=float(harm[place])
            )
        )
    return found


def telling_word(compared: Sequence[LookAndCause]) -> LookAndCause:
    """Of the words whose two windows differ the one with the largest harm; where none differs, of all words."""
    return max([one for one in compared if one.differ] or compared, key=lambda one: one.harm)
