"""What the answers to some dialogues cost a checkpoint, in all and task by task; also with the clips exchanged.

The next-token loss of training, without training. With `swap` every question keeps its answer and gets another clip: a
task whose loss does not rise then is answered without listening.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from q2a_core.world.prompts import TASKS

if TYPE_CHECKING:
    from q2a_core.checkpoint import Checkpoint
    from q2a_core.world.corpus import Example

BATCH_SIZE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskLosses:
    """Sums in nats over labelled tokens, and how many there were."""

    sums: dict[str, float]
    counts: dict[str, int]

    @property
    def loss(self) -> float:
        """The mean over all tokens, each weighing the same."""
        return sum(self.sums.values()) / max(sum(self.counts.values()), 1)

    def means(self) -> dict[str, float]:
        """Loss by task, of the tasks that occur."""
        return {name: self.sums[name] / count for name, count in self.counts.items() if count}


def task_losses(
    checkpoint: "Checkpoint", examples: Sequence["Example"], *, swap: bool = False
) -> TaskLosses:
    """Losses of a checkpoint on examples of the mini world; with `swap` each has the next one's clip."""
    import torch

    from q2a_core.training.batches import collate, encode_example
    from q2a_core.training.losses import next_token_losses

    if swap:
        examples = with_next_clip(examples)
    model, chat_format = checkpoint.load_model(), checkpoint.chat_format
    pad_id = chat_format.pad_id
    sums = torch.zeros(len(TASKS), dtype=torch.float64)
    counts = torch.zeros(len(TASKS), dtype=torch.int64)
    for start in range(0, len(examples), BATCH_SIZE):
        part = examples[start : start + BATCH_SIZE]
        batch = collate([encode_example(e, chat_format, None) for e in part], pad_id=pad_id)
        with torch.inference_mode():
            embeds = None if batch.mel is None else model.encode_audio(batch.mel, batch.mel_lengths)
            states = model.hidden_states(batch.input_ids, audio_embeds=embeds)
            losses, counted = next_token_losses(model, states, batch.labels)
        tasks = batch.label_tasks[:, 1:][counted]
        sums.index_add_(0, tasks, losses.double())
        counts += tasks.bincount(minlength=len(TASKS))
    return TaskLosses(
        sums=dict(zip(TASKS, sums.tolist(), strict=True)),
        counts=dict(zip(TASKS, counts.tolist(), strict=True)),
    )


def with_next_clip(examples: Sequence["Example"]) -> list["Example"]:
    """Every example that has a clip with the clip of the next one that has one; questions and answers stay."""
    heard = [example for example in examples if example.samples is not None]
    given = {id(e): heard[(place + 1) % len(heard)] for place, e in enumerate(heard)}
    return [
        replace(e, samples=given[id(e)].samples, transcript=given[id(e)].transcript)
        if id(e) in given
        else e
        for e in examples
    ]
