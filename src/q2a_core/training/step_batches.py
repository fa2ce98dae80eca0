"""The batches of all training steps: drawn, sorted by length, cut and dealt.

A megabatch, the examples of eight steps, is drawn, sorted by length and cut, so that no batch carries much padding;
then its steps are shuffled. Megabatch k depends on (seed, k) and on the size of a step alone: a run resumes at any
step, and whether a step's examples come as one batch or as several micro-batches, in one process or in many, they are
the same.

A megabatch is drawn in lanes, each sorted and cut by itself, and every step has its part of each. Processes that share
a run take lanes of their own, so that none makes clips for the others.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from q2a_core.errors import RunError
from q2a_core.text import ChatFormat

MEGABATCH = 8
"""Steps drawn and sorted together."""
LANES = (4, 2, 1)
"""Parts of a megabatch that are sorted apart: the first number that leaves LANE_WIDTH dialogues of a step to each."""
LANE_WIDTH = 8
"""Shorter lanes find too few clips of one length."""


class StepBatches(torch.utils.data.Dataset):
    """Item k is megabatch k: MEGABATCH steps, each the list of micro-batches that this process computes."""

    def __init__(self, chat_format: ChatFormat, *, batch_size: int, seed: int, accumulate: int = 1):
        self._chat = (
            chat_format.tokenizer.to_json(),
            chat_format.tokenizer.special_tokens_map,
            chat_format.template,
            chat_format.audio_token_id,
        )
        self._chat_format: ChatFormat | None = None
        self.batch_size, self.accumulate, self.seed = batch_size, accumulate, seed
        self.rank, self.processes = 0, 1
        # an event that tells workers that nobody waits for their megabatch
        self.given_up: Any = None

    def draw(self, numbers: Iterable[int], rng: np.random.Generator) -> list[Any]:
        """The encoded examples with these numbers; each has a `cost` to be sorted by."""
        raise NotImplementedError

    def collate(self, examples: list[Any]) -> Any:
        """One micro-batch."""
        raise NotImplementedError

    def deal(self, rank: int, processes: int) -> None:
        """Make only the share of process `rank`; raises RunError if some process would have nothing to compute."""
        size = self.batch_size * self.accumulate
        if size < processes:
            raise RunError(
                f"a step has {size} dialogues for {processes} processes; expected at least one each"
            )
        # micro-batches of one dialogue each, which not all processes can have as many of
        if -(-self.accumulate // processes) * processes > size:
            raise RunError(
                f"a step has {self.accumulate} micro-batches of one dialogue for {processes} processes; expected as "
                f"many for each: set --accumulate to a multiple of {processes}, or launch another number of processes"
            )
        self.rank, self.processes = rank, processes

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, number: int) -> list[list[Any]]:
        rng = np.random.default_rng([self.seed, number, 11])
        size = self.batch_size * self.accumulate
        lanes = next(n for n in LANES if n == 1 or (size % n == 0 and size // n >= LANE_WIDTH))
        shared = lanes % self.processes == 0
        first, width = number * MEGABATCH * size, size // lanes
        drawn = []
        for lane in range(self.rank, lanes, self.processes) if shared else range(lanes):
            numbers = range(first + lane, first + MEGABATCH * size, lanes)
            examples = self.draw(
                self._while_wanted(numbers), np.random.default_rng([self.seed, number, 11, lane])
            )
            drawn.append(sorted(examples, key=lambda example: example.cost))
        return [
            self._cut([e for lane in drawn for e in lane[i * width : (i + 1) * width]], shared)
            for i in rng.permutation(MEGABATCH)
        ]

    def _while_wanted(self, numbers: range) -> Iterator[int]:
        """`numbers`, until the trainer has gone: it waits for its workers, and a megabatch takes over a second."""
        for number in numbers:
            if self.given_up is not None and self.given_up.is_set():
                raise InterruptedError("nobody waits for this megabatch any more")
            yield number

    def _cut(self, examples: list[Any], ours_alone: bool) -> list[Any]:
        """A step in as many pieces for each process, none larger than `batch_size`; of all examples only our pieces."""
        each = -(-self.accumulate // self.processes)
        pieces = each if ours_alone else each * self.processes
        cuts = [len(examples) * piece // pieces for piece in range(pieces + 1)]
        ours = range(pieces) if ours_alone else range(self.rank, pieces, self.processes)
        return [self.collate(examples[cuts[piece] : cuts[piece + 1]]) for piece in ours]

    @property
    def chat_format(self) -> ChatFormat:
        """Built where it is used: a tokenizer crosses to a worker process as text."""
        if self._chat_format is None:
            from q2a_core.text import Tokenizer

            content, special_tokens_map, template, audio_token_id = self._chat
            tokenizer = Tokenizer.from_json(content.encode(), special_tokens_map=special_tokens_map)
            self._chat_format = ChatFormat(tokenizer, template, audio_token_id=audio_token_id)
        return self._chat_format

    @property
    def pad_id(self) -> int:
        """What rows are padded with."""
        return self.chat_format.pad_id
