"""Is there a dog? How much of its belief a checkpoint gives to Yes, for what is in a clip and for what is not.

Replies that are decoded show a hallucination only when it wins. The probability of "Yes" against "No" as the first
token also shows how near it is, so that a few clips are enough to see it move.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from q2a_core import lengths
from q2a_core.inspection.scoring import score_replies
from q2a_core.world.absent_things import ThingAsked

if TYPE_CHECKING:
    from q2a_core.inference import AudioChat

YES, NO = "Yes, there is a dog.", "No, there is no dog."
"""How the mini world begins such answers."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class YesRates:
    """Probability of Yes against No, for every question."""

    absent: np.ndarray  # (K,) where the thing is not in the clip
    present: np.ndarray  # (L,) where it is

    @property
    def false_yes(self) -> float:
        """Share of absent things to which Yes is the likelier word: hallucinations."""
        return float((self.absent > 0.5).mean())

    @property
    def true_yes(self) -> float:
        """Share of present things to which Yes is the likelier word."""
        return float((self.present > 0.5).mean())

    @property
    def right(self) -> float:
        """Share of all questions whose likelier word is the true one."""
        hits = np.concatenate([self.absent < 0.5, self.present > 0.5])
        return float(hits.mean())


def yes_rates(chat: "AudioChat", asked: Sequence[ThingAsked]) -> YesRates:
    """Ask every question as a first turn and weigh Yes against No; raises ValueError without both kinds of things."""
    tokenizer = chat.checkpoint.chat_format.tokenizer
    firsts = [tokenizer.encode(text)[:1] for text in (YES, NO)]
    prompts = [
        chat.fork().prompt(item.samples, item.question, sample_rate=lengths.SAMPLE_RATE)
        for item in asked
    ]
    yes, no = (
        np.array(
            [float(logps[0]) for logps in score_replies(chat.model, prompts, [ids] * len(asked))]
        )
        for ids in firsts
    )
    belief = 1.0 / (1.0 + np.exp(no - yes))
    there = np.array([item.is_there for item in asked], dtype=bool)
    if there.all() or not there.any():
        raise ValueError(
            f"{int(there.sum())} of {len(there)} things are there; expected some of each kind"
        )
    return YesRates(absent=belief[~there], present=belief[there])
