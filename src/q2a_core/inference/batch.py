"""Many dialogues, one clip each, as the arguments of `generate`: encoded, padded on the left, stacked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from q2a_core.audio.mel import log_mel, stack_mels
from q2a_core.lengths import audio_tokens, mel_frames
from q2a_core.text import ChatFormat
from q2a_core.text.chat import Message


def prompt_batch(
    chat_format: ChatFormat,
    prompts: Sequence[Sequence[Message]],
    clips: Sequence[np.ndarray],
    *,
    pad_id: int = 0,
    device: torch.device | str = "cpu",
) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask` (B, T), `mel` (B, M, F) and `mel_lengths` (B,), for one clip (S,) a prompt."""
    frames = [mel_frames(len(clip)) for clip in clips]
    ids = [
        chat_format.prompt_ids(list(prompt), [audio_tokens(count)])
        for prompt, count in zip(prompts, frames, strict=True)
    ]
    longest = max(map(len, ids))
    batch: dict[str, Any] = {
        "input_ids": torch.tensor([[pad_id] * (longest - len(row)) + row for row in ids]),
        "attention_mask": torch.tensor(
            [[0] * (longest - len(row)) + [1] * len(row) for row in ids]
        ),
        "mel": stack_mels([log_mel(clip) for clip in clips]),
    }
    lengths = {"mel_lengths": torch.tensor(frames)}
    return {name: value.to(device) for name, value in batch.items()} | lengths
