"""Many dialogues as the arguments of `generate`: prompts padded on the left and stacked, clips encoded beside them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from q2a_core.audio.mel import log_mel, stack_mels
from q2a_core.inference.reply import Prompt
from q2a_core.lengths import audio_tokens, mel_frames
from q2a_core.text import ChatFormat
from q2a_core.text.chat import Message


def prompt_batch(
    chat_format: ChatFormat,
    prompts: Sequence[Sequence[Message]],
    clips: Sequence[np.ndarray],
    *,
    device: torch.device | str = "cpu",
) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask` (B, T), `mel` (B, M, F) and `mel_lengths` (B,), for one clip (S,) a prompt."""
    frames = [mel_frames(len(clip)) for clip in clips]
    ids = [
        chat_format.prompt_ids(list(prompt), [audio_tokens(count)])
        for prompt, count in zip(prompts, frames, strict=True)
    ]
    mel = stack_mels([log_mel(clip) for clip in clips]).to(device)
    lengths = {"mel": mel, "mel_lengths": torch.tensor(frames)}
    return pad_left(ids, device=device) | lengths


def encoded_batch(
    prompts: Sequence[Prompt], *, device: torch.device | str = "cpu"
) -> dict[str, Any]:
    """`input_ids` and `attention_mask` (B, T), and `audio_embeds` where there is a clip, of prompts with their own."""
    batch = pad_left([prompt.ids for prompt in prompts], device=device)
    embeds = [clip for prompt in prompts for clip in prompt.audio_embeds]
    return batch | ({"audio_embeds": torch.cat(embeds)} if embeds else {})


def pad_left(rows: Sequence[list[int]], *, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """`input_ids` and `attention_mask` (B, T) of rows of unequal length; what stands in the padding never matters."""
    longest = max(map(len, rows))
    ids = [[0] * (longest - len(row)) + row for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return {
        "input_ids": torch.tensor(ids, device=device),
        "attention_mask": torch.tensor(mask, device=device),
    }
