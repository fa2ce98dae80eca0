"""The same training step on both sides: next-token loss of a batch of equal clips, backward, AdamW.

Ours is what `training.loop` does, without the spelling loss, which transformers does not have. Both sides get their
log-mel ready made, as worker processes make it in training; transformers pads every clip to the window and turns every
position into logits.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from q2a_core.audio.mel import stack_mels
from q2a_core.bench.pair import ANSWER, QUESTION, Pair, noise_clip, our_mel, their_mel
from q2a_core.lengths import SAMPLE_RATE, mel_frames, tokens_of_samples
from q2a_core.model import IGNORE_INDEX, Qwen2Audio
from q2a_core.text import user_message
from q2a_core.training.losses import next_token_losses


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingBatch:
    """One batch as both sides take it."""

    input_ids: Tensor  # (B, T), equal rows
    labels: Tensor  # (B, T), IGNORE_INDEX outside the answer
    mel: Tensor  # (B, M, F), the frames that exist
    mel_lengths: Tensor  # (B,)
    # the clips as transformers' front end makes them, padded to the window
    padded: dict[str, Tensor]


def make_batch(pair: Pair, *, batch_size: int, seconds: float) -> TrainingBatch:
    """`batch_size` different clips, each with the same question and answer."""
    clips = [noise_clip(seconds, seed=1 + row) for row in range(batch_size)]
    samples = round(seconds * SAMPLE_RATE)
    messages = [user_message(QUESTION, clips=1), {"role": "assistant", "content": ANSWER}]
    dialogue = pair.chat_format.dialogue(messages, [tokens_of_samples(samples)])
    input_ids = torch.tensor([dialogue.input_ids] * batch_size)
    loss_mask = torch.tensor([dialogue.loss_mask] * batch_size)
    return TrainingBatch(
        input_ids=input_ids,
        labels=input_ids.masked_fill(~loss_mask, IGNORE_INDEX),
        mel=stack_mels([our_mel(pair, clip) for clip in clips]),
        mel_lengths=torch.full((batch_size,), mel_frames(samples)),
        padded=their_mel(pair, clips),
    )


def our_loss(model: Qwen2Audio, batch: TrainingBatch) -> Tensor:
    """Mean next-token loss over the labelled tokens, by the route that training takes."""
    encoder_frames = model.audio_encoder.encode_frames(batch.mel, batch.mel_lengths)
    audio_embeds = model.embed_frames(encoder_frames, batch.mel_lengths)
    hidden_states = model.hidden_states(batch.input_ids, audio_embeds=audio_embeds)
    return next_token_losses(model, hidden_states, batch.labels)[0].mean()


def their_loss(theirs: Any, batch: TrainingBatch) -> Tensor:
    """Transformers' own loss; no cache, as its trainer does."""
    return theirs(
        input_ids=batch.input_ids,
        attention_mask=torch.ones_like(batch.input_ids),
        input_features=batch.padded["input_features"],
        feature_attention_mask=batch.padded["attention_mask"],
        labels=batch.labels,
        use_cache=False,
    ).loss


def training_steps(
    pair: Pair, batch: TrainingBatch
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Our step and theirs, each on a copy of its model with an optimizer of its own."""
    return (
        _step(copy.deepcopy(pair.model), lambda model: our_loss(model, batch)),
        _step(copy.deepcopy(pair.theirs), lambda model: their_loss(model, batch)),
    )


def _step(model: nn.Module, loss_of: Callable[[Any], Tensor]) -> Callable[[], None]:
    model.train()
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-4, fused=True)

    def step() -> None:
        loss_of(model).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step
