"""Before and after DPO, pair by pair: what the reference and the trained model give the two replies.

The reward margin of a pair is beta * ((policy - reference of the chosen) - (policy - reference of the rejected)); it is
0 for every pair before the first step. The drift is how far the model went from its reference, in nats per reply.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from q2a_core.training.preference.pair_file import PreferencePair

if TYPE_CHECKING:
    from q2a_core.checkpoint import Checkpoint

BINS = 17
"""Columns of the histogram."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairReport:
    """Log-probabilities of the replies of P pairs, summed over their tokens."""

    chosen_before: np.ndarray  # (P,)
    rejected_before: np.ndarray  # (P,)
    chosen_after: np.ndarray  # (P,)
    rejected_after: np.ndarray  # (P,)

    @property
    def preferred_before(self) -> int:
        """Pairs whose chosen reply was the likelier one already."""
        return int((self.chosen_before > self.rejected_before).sum())

    @property
    def preferred_after(self) -> int:
        return int((self.chosen_after > self.rejected_after).sum())

    def margins(self, beta: float) -> np.ndarray:
        """Reward margins (P,)."""
        chosen, rejected = self._ratios()
        return beta * (chosen - rejected)

    def loss(self, beta: float) -> float:
        """The preference loss over the pairs; log 2 if nothing moved."""
        return float(np.logaddexp(0.0, -self.margins(beta)).mean())

    @property
    def kl(self) -> float:
        """KL(reference || policy) in nats per reply, as DPO's log estimates it.

        Without bias only where the replies are the reference's own draws at temperature 1.
        """
        chosen, rejected = self._ratios()
        return float(-(chosen + rejected).mean() / 2)

    def _ratios(self) -> tuple[np.ndarray, np.ndarray]:
        return self.chosen_after - self.chosen_before, self.rejected_after - self.rejected_before


def report_pairs(
    before: "Checkpoint", after: "Checkpoint", pairs: Sequence[PreferencePair]
) -> PairReport:
    """Judge every pair with both checkpoints; the texts are read with the first one's tokenizer."""
    chosen_before, rejected_before = _logps(before, before, pairs)
    chosen_after, rejected_after = _logps(after, before, pairs)
    return PairReport(
        chosen_before=chosen_before,
        rejected_before=rejected_before,
        chosen_after=chosen_after,
        rejected_after=rejected_after,
    )


def _logps(
    checkpoint: "Checkpoint", tokenizer_of: "Checkpoint", pairs: Sequence[PreferencePair]
) -> tuple[np.ndarray, np.ndarray]:
    from q2a_core.training.preference.dpo import reply_logps

    logps = reply_logps(checkpoint.load_model(), pairs, tokenizer_of.chat_format)
    chosen, rejected = np.array(logps).T
    return chosen, rejected


def histogram(values: np.ndarray, bins: int = BINS) -> tuple[np.ndarray, np.ndarray]:
    """Edges (bins + 1,) and counts (bins,), symmetric around 0 so that the sign can be seen."""
    reach = float(np.abs(values).max()) if len(values) else 0.0
    counts, edges = np.histogram(values, bins=bins, range=(-reach or -1.0, reach or 1.0))
    return edges, counts
