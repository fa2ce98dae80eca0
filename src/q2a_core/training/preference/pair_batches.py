"""From preference pairs to tensors: a clip is encoded once for its two replies.

Rows 0 to B of a batch answer with the chosen reply, rows B to 2B with the rejected one, in the same order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from q2a_core import lengths
from q2a_core.audio.mel import log_mel
from q2a_core.text import ChatFormat
from q2a_core.training.batches import Batch, EncodedExample, collate
from q2a_core.training.preference.pair_file import PreferencePair
from q2a_core.training.step_batches import StepBatches


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedPair:
    """One pair as arrays; the chosen side carries the clip."""

    chosen: EncodedExample
    rejected: EncodedExample
    reference: tuple[float, float]
    """The reference's log-probabilities of chosen and rejected."""

    @property
    def cost(self) -> int:
        """What the pair is sorted by."""
        return self.chosen.mel_length


@dataclass(frozen=True, kw_only=True, slots=True)
class PairBatch:
    """What one step of DPO sees."""

    batch: Batch  # 2B rows, but the clips of B
    reference: Tensor  # (2B,) log-probabilities under the reference

    def to(self, device: torch.device) -> "PairBatch":
        """The batch on another device."""
        return PairBatch(batch=self.batch.to(device), reference=self.reference.to(device))


def encode_pair(
    pair: PreferencePair,
    chat_format: ChatFormat,
    reference: tuple[float, float] = (0.0, 0.0),
) -> EncodedPair:
    """Tokens and mel of both sides; only the reply that the two differ in is labelled."""
    samples = pair.waveform()
    mel, mel_length, counts = None, 0, []
    if samples is not None:
        mel_length = lengths.mel_frames(len(samples))
        counts = [lengths.audio_tokens(mel_length)]
        mel = log_mel(samples)
    sides = []
    for messages in pair.dialogues():
        dialogue = chat_format.dialogue(messages, counts)
        sides.append(
            EncodedExample(
                input_ids=dialogue.input_ids,
                loss_mask=last_reply(dialogue.loss_mask),
                mel=None if sides else mel,
                mel_length=0 if sides else mel_length,
                letters=[],
            )
        )
    return EncodedPair(chosen=sides[0], rejected=sides[1], reference=reference)


def last_reply(loss_mask: list[bool]) -> list[bool]:
    """The mask with only its last run of True left: earlier replies are part of the prompt."""
    end = len(loss_mask) - loss_mask[::-1].index(True)
    start = end
    while start > 0 and loss_mask[start - 1]:
        start -= 1
    return [start <= place < end for place in range(len(loss_mask))]


def collate_pairs(pairs: Sequence[EncodedPair], *, pad_id: int) -> PairBatch:
    """Pad and stack the chosen rows, then the rejected ones."""
    rows = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    logps = [pair.reference[side] for side in (0, 1) for pair in pairs]
    return PairBatch(batch=collate(rows, pad_id=pad_id), reference=torch.tensor(logps))


class PairBatches(StepBatches):
    """Training steps from a list of pairs; each epoch goes through all of them in an order of its own."""

    def __init__(
        self,
        pairs: Sequence[PreferencePair],
        references: Sequence[tuple[float, float]],
        chat_format: ChatFormat,
        *,
        batch_size: int,
        seed: int,
        accumulate: int = 1,
    ):
        super().__init__(chat_format, batch_size=batch_size, accumulate=accumulate, seed=seed)
        self.pairs, self.references = pairs, references

    def draw(self, numbers: Iterable[int], rng: np.random.Generator) -> list[EncodedPair]:
        """Pairs with these numbers in the endless row of epochs, encoded."""
        orders: dict[int, np.ndarray] = {}
        drawn = []
        for number in numbers:
            epoch, place = divmod(number, len(self.pairs))
            if epoch not in orders:
                order = np.random.default_rng([self.seed, epoch, 13])
                orders[epoch] = order.permutation(len(self.pairs))
            pair = int(orders[epoch][place])
            drawn.append(encode_pair(self.pairs[pair], self.chat_format, self.references[pair]))
        return drawn

    def collate(self, examples: list[EncodedPair]) -> PairBatch:
        """Padded and stacked."""
        return collate_pairs(examples, pad_id=self.pad_id)
