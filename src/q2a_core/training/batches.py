"""From examples to tensors: dialogues padded on the right, clips cut to the longest of their batch.

A block of eight batches is drawn, sorted by length and cut, so that no batch carries much padding;
then the batches are shuffled. Block k depends on (seed, k) alone: a run resumes at any batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from q2a_core import lengths as rates
from q2a_core.audio.mel import log_mel, stack_mels
from q2a_core.model import IGNORE_INDEX
from q2a_core.text import ChatFormat
from q2a_core.world.corpus import Corpus, Example
from q2a_core.world.room import mask_mel

BLOCK = 8
"""Batches drawn and sorted together."""
MASKED_SHARE = 0.3
"""Training clips in which a band and a span are hidden."""
LETTERS = " abcdefghijklmnopqrstuvwxyz"
"""What the spelling loss spells; class 0 is CTC's blank, LETTERS[i] is class i + 1."""


@dataclass(kw_only=True, slots=True)
class Batch:
    """What one training step sees."""

    input_ids: Tensor  # (B, T)
    labels: Tensor  # (B, T), IGNORE_INDEX outside the assistant's answers
    mel: Tensor | None  # (N, M, F)
    mel_lengths: Tensor  # (N,)
    letters: Tensor  # (N, U), spelled words, 0-padded
    letter_lengths: Tensor  # (N,)

    def to(self, device: torch.device) -> "Batch":
        """The batch on another device."""
        return Batch(
            input_ids=self.input_ids.to(device),
            labels=self.labels.to(device),
            mel=None if self.mel is None else self.mel.to(device),
            mel_lengths=self.mel_lengths.to(device),
            letters=self.letters.to(device),
            letter_lengths=self.letter_lengths.to(device),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedExample:
    """One example as arrays."""

    input_ids: list[int]
    loss_mask: list[bool]
    mel: Tensor | None  # (M, F)
    mel_length: int
    letters: list[int]

    @property
    def cost(self) -> int:
        """What the example is sorted by."""
        return self.mel_length


def encode_example(
    example: Example, chat_format: ChatFormat, rng: np.random.Generator | None
) -> EncodedExample:
    """Tokens, mel and spelling of one example; `rng` hides random bands and spans, None hides nothing."""
    mel, mel_length, counts = None, 0, []
    if example.samples is not None:
        mel_length = rates.mel_frames(len(example.samples))
        counts = [rates.audio_tokens(mel_length)]
        mel = log_mel(example.samples)
        if rng is not None and rng.random() < MASKED_SHARE:
            mel = torch.from_numpy(mask_mel(mel.numpy(), rng))
    dialogue = chat_format.dialogue(list(example.task.messages), counts)
    return EncodedExample(
        input_ids=dialogue.input_ids,
        loss_mask=dialogue.loss_mask,
        mel=mel,
        mel_length=mel_length,
        letters=[LETTERS.index(letter) + 1 for letter in example.transcript],
    )


def collate(examples: list[EncodedExample], *, pad_id: int) -> Batch:
    """Pad and stack; the decoder needs no mask, since causal attention never looks at what follows."""
    longest = max(len(example.input_ids) for example in examples)
    input_ids = torch.full((len(examples), longest), pad_id)
    labels = torch.full((len(examples), longest), IGNORE_INDEX)
    for row, example in enumerate(examples):
        ids = torch.tensor(example.input_ids)
        input_ids[row, : len(ids)] = ids
        labels[row, : len(ids)] = ids.masked_fill(~torch.tensor(example.loss_mask), IGNORE_INDEX)
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
    )


class Blocks(torch.utils.data.Dataset):
    """Block k: BLOCK batches of similar lengths, in random order. Made in worker processes."""

    def __init__(self, corpus: Corpus, chat_format: ChatFormat, *, batch_size: int, seed: int):
        self.corpus = corpus
        self.chat = (
            chat_format.tokenizer.to_json(),
            chat_format.template,
            chat_format.audio_token_id,
        )
        self.chat_format: ChatFormat | None = None
        self.batch_size = batch_size
        self.seed = seed

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, block: int) -> list[Batch]:
        chat_format = self._chat_format()
        rng = np.random.default_rng([self.seed, block, 11])
        count = BLOCK * self.batch_size
        examples = [
            encode_example(self.corpus.example(index), chat_format, rng)
            for index in range(block * count, (block + 1) * count)
        ]
        examples.sort(key=lambda example: example.cost)
        pad_id = chat_format.tokenizer.token_id("<|endoftext|>") or 0
        batches = [
            collate(examples[start : start + self.batch_size], pad_id=pad_id)
            for start in range(0, count, self.batch_size)
        ]
        return [batches[i] for i in rng.permutation(BLOCK)]

    def _chat_format(self) -> ChatFormat:
        """Built where it is used: a tokenizer crosses to a worker process as text."""
        if self.chat_format is None:
            from q2a_core.text import Tokenizer

            tokenizer, template, audio_token_id = self.chat
            self.chat_format = ChatFormat(
                Tokenizer.from_json(tokenizer.encode()), template, audio_token_id=audio_token_id
            )
        return self.chat_format


def batches_from(blocks: Blocks, *, start: int, workers: int) -> Iterator[Batch]:
    """Batches number `start`, `start` + 1, ... for ever; 0 workers makes them in this process."""
    loader = torch.utils.data.DataLoader(
        blocks,
        batch_size=None,
        sampler=_CountFrom(start // BLOCK),
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        prefetch_factor=2 if workers else None,
        worker_init_fn=_one_thread if workers else None,
    )
    skip = start % BLOCK
    for block in loader:
        yield from block[skip:]
        skip = 0


class _CountFrom(torch.utils.data.Sampler[int]):
    def __init__(self, first: int):
        self.first = first

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, 2**31))


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
