"""From examples to tensors: dialogues padded on the right, clips cut to the longest of their batch."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from q2a_core import lengths
from q2a_core.audio.mel import log_mel, stack_mels
from q2a_core.model import IGNORE_INDEX
from q2a_core.text import ChatFormat
from q2a_core.training.step_batches import StepBatches
from q2a_core.world.corpus import Corpus, Example
from q2a_core.world.mel_changes import bend_time, draw_pace, mask_mel, pace, vary_mel
from q2a_core.world.prompts import TASKS
from q2a_core.world.render import MAX_SECONDS
from q2a_core.world.speech.spelling import spell

VARIED_SHARE = 0.6
"""Training clips that are heard as from another throat and microphone."""
PACED_SHARE = 0.8
"""Those of them in which somebody speaks alone, at another pace."""
OTHER_LENGTHS, OTHER_SOURCE = (0.7, 1.5), 1.8
"""Where no one speaks: times that a sound may take as long, and how many times as far it varies as a voice does."""
LONGEST = lengths.mel_frames(int(MAX_SECONDS * lengths.SAMPLE_RATE))
"""Frames that a clip at another pace may have at most."""
MASKED_SHARE = 0.4
"""Training clips in which a band and a span are hidden."""


@dataclass(kw_only=True, slots=True)
class Batch:
    """What one training step sees."""

    input_ids: Tensor  # (B, T)
    labels: Tensor  # (B, T), IGNORE_INDEX outside the assistant's answers
    mel: Tensor | None  # (N, M, F)
    mel_lengths: Tensor  # (N,)
    letters: Tensor  # (N, U), spelled words, 0-padded
    letter_lengths: Tensor  # (N,)
    label_tasks: Tensor  # (B, T), place in TASKS of what a labelled token answers; 0 elsewhere

    def to(self, device: torch.device) -> "Batch":
        """The batch on another device."""
        return Batch(
            input_ids=self.input_ids.to(device),
            labels=self.labels.to(device),
            mel=None if self.mel is None else self.mel.to(device),
            mel_lengths=self.mel_lengths.to(device),
            letters=self.letters.to(device),
            letter_lengths=self.letter_lengths.to(device),
            label_tasks=self.label_tasks.to(device),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedExample:
    """One example as arrays."""

    input_ids: list[int]
    loss_mask: list[bool]
    mel: Tensor | None  # (M, F)
    mel_length: int
    letters: list[int]
    turns: tuple[str, ...] = ()  # what each run of True in the mask answers; preferences don't say

    @property
    def cost(self) -> int:
        """What the example is sorted by."""
        return self.mel_length


def encode_example(
    example: Example, chat_format: ChatFormat, rng: np.random.Generator | None
) -> EncodedExample:
    """Tokens, mel and spelling of one example; `rng` changes and hides parts of the mel, None changes nothing."""
    mel, mel_length, counts = None, 0, []
    if example.samples is not None:
        mel_length = lengths.mel_frames(len(example.samples))
        mel = log_mel(example.samples)
        if rng is not None and rng.random() < VARIED_SHARE:
            varied, mel_length = _varied(mel.numpy(), mel_length, example, rng)
            mel = torch.from_numpy(varied)
        if rng is not None and rng.random() < MASKED_SHARE:
            mel = torch.from_numpy(mask_mel(mel.numpy(), rng))
        counts = [lengths.audio_tokens(mel_length)]
    dialogue = chat_format.dialogue(list(example.task.messages), counts)
    return EncodedExample(
        input_ids=dialogue.input_ids,
        loss_mask=dialogue.loss_mask,
        mel=mel,
        mel_length=mel_length,
        letters=spell(example.transcript),
        turns=example.task.turns,
    )


def _varied(
    mel: np.ndarray, length: int, example: Example, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """A mel and its length as others would have said or sounded what is heard in it, where, and into what."""
    heard = {event.kind for event in example.scene.events}
    if heard and heard <= {"sound", "vocal"}:
        factor = draw_pace(rng, OTHER_LENGTHS)
        if length * factor < LONGEST:
            mel, length = pace(mel, length, factor)
        return vary_mel(mel, rng, spread=OTHER_SOURCE), length
    # music and machines have a tempo of their own, and how fast they speak is how people feel: emotion asks for it
    # and a reply in voice chat may name it
    told = {"emotion", "voice_chat"} & set(example.task.turns)
    if heard == {"speech"} and not told and rng.random() < PACED_SHARE:
        factor = draw_pace(rng)
        if length * factor < LONGEST:
            mel, length = pace(mel, length, factor)
    return vary_mel(bend_time(mel, rng) if example.transcript else mel, rng), length


def collate(examples: list[EncodedExample], *, pad_id: int) -> Batch:
    """Pad and stack; the decoder needs no mask, since causal attention never looks at what follows."""
    longest = max(len(example.input_ids) for example in examples)
    input_ids = torch.full((len(examples), longest), pad_id)
    labels = torch.full((len(examples), longest), IGNORE_INDEX)
    label_tasks = torch.zeros_like(labels)
    for row, example in enumerate(examples):
        ids = torch.tensor(example.input_ids)
        input_ids[row, : len(ids)] = ids
        labels[row, : len(ids)] = ids.masked_fill(~torch.tensor(example.loss_mask), IGNORE_INDEX)
        label_tasks[row, : len(ids)] = torch.from_numpy(label_tasks_of(example))
    heard = [example for example in examples if example.mel is not None]
    letters = torch.zeros(
        len(heard), max((len(e.letters) for e in heard), default=0), dtype=torch.long
    )
    for row, example in enumerate(heard):
        letters[row, : len(example.letters)] = torch.tensor(example.letters, dtype=torch.long)
    return Batch(
        input_ids=input_ids,
        labels=labels,
        mel=stack_mels([e.mel for e in heard if e.mel is not None]) if heard else None,
        mel_lengths=torch.tensor([e.mel_length for e in heard], dtype=torch.long),
        letters=letters,
        letter_lengths=torch.tensor([len(e.letters) for e in heard], dtype=torch.long),
        label_tasks=label_tasks,
    )


def label_tasks_of(example: EncodedExample) -> np.ndarray:
    """For each token (T,), the place in TASKS of the question that its answer is for; 0 where nothing is labelled."""
    mask = np.array(example.loss_mask)
    if not example.turns:
        return np.zeros(len(mask), dtype=np.int64)
    turn = np.cumsum(np.diff(mask, prepend=False) & mask) - 1
    places = np.array([TASKS.index(name) for name in example.turns])
    return np.where(mask, places[turn], 0)


class CorpusBatches(StepBatches):
    """Training steps from a corpus; example `index` of the corpus is seen once."""

    def __init__(
        self,
        corpus: Corpus,
        chat_format: ChatFormat,
        *,
        batch_size: int,
        seed: int,
        accumulate: int = 1,
    ):
        super().__init__(chat_format, batch_size=batch_size, accumulate=accumulate, seed=seed)
        self.corpus = corpus

    def draw(self, numbers: Iterable[int], rng: np.random.Generator) -> list[EncodedExample]:
        """These examples of the corpus, encoded."""
        return [
            encode_example(self.corpus.example(number), self.chat_format, rng) for number in numbers
        ]

    def collate(self, examples: list[EncodedExample]) -> Batch:
        """Padded and stacked."""
        return collate(examples, pad_id=self.pad_id)
