"""Many dialogues as the arguments of `generate`: prompts padded on the left and stacked, clips encoded beside them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from q2a_core.audio.mel import log_mel, stack_mels
from q2a_core.errors import TooLongError
from q2a_core.inference.reply import Prompt
from q2a_core.lengths import SAMPLE_RATE, audio_tokens, beyond, mel_frames
from q2a_core.model import Qwen2Audio
from q2a_core.text import ChatFormat
from q2a_core.text.chat import Message


def prompt_batch(
    model: Qwen2Audio,
    chat_format: ChatFormat,
    prompts: Sequence[Sequence[Message]],
    clips: Sequence[np.ndarray],
) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask` (B, T), `mel` (B, M, F) and `mel_lengths` (B,), for one clip (S,) a prompt.

    Raises TooLongError for a clip beyond the model's window.
    """
    mel, mel_lengths = mel_batch(model, clips)
    ids = [
        chat_format.prompt_ids(list(prompt), [count])
        for prompt, count in zip(prompts, audio_tokens(mel_lengths).tolist(), strict=True)
    ]
    return pad_left(ids, device=mel.device) | {"mel": mel, "mel_lengths": mel_lengths}


def mel_batch(model: Qwen2Audio, clips: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """`mel` (N, M, F) as the encoder of `model` hears it, in its precision and on its device, `mel_lengths` (N,).

    Raises TooLongError for a clip beyond the model's window.
    """
    check_window(model, clips)
    encoder = model.config.encoder
    mel = stack_mels(
        [
            log_mel(clip, num_mels=encoder.num_mel_bins, max_frames=encoder.max_mel_frames)
            for clip in clips
        ]
    )
    # not a linear layer's: what a quantised one has is no tensor
    weight = model.audio_encoder.conv1.weight
    mel_lengths = torch.tensor([mel_frames(len(clip)) for clip in clips])
    return mel.to(weight.device, weight.dtype), mel_lengths


def encoded_batch(
    prompts: Sequence[Prompt], *, device: torch.device | str = "cpu"
) -> dict[str, Any]:
    """`input_ids` and `attention_mask` (B, T), and `audio_embeds` where there is a clip, of prompts with their own."""
    batch = pad_left([prompt.ids for prompt in prompts], device=device)
    embeds = [clip for prompt in prompts for clip in prompt.audio_embeds]
    return batch | ({"audio_embeds": torch.cat(embeds)} if embeds else {})


def check_window(model: Qwen2Audio, clips: Sequence[np.ndarray]) -> None:
    """Raise TooLongError for a clip beyond the model's window."""
    encoder = model.config.encoder
    longest = max(map(len, clips), default=0)
    if longest > encoder.max_samples:
        lasts = beyond(longest / SAMPLE_RATE, encoder.max_seconds)
        raise TooLongError(
            f"a clip lasts {lasts}; the model hears {encoder.max_seconds:g} s at once. "
            "Choose shorter clips, or a checkpoint with a longer window"
        )


def pad_left(rows: Sequence[list[int]], *, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """`input_ids` and `attention_mask` (B, T) of rows of unequal length; what stands in the padding never matters."""
    longest = max(map(len, rows))
    ids = [[0] * (longest - len(row)) + row for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return {
        "input_ids": torch.tensor(ids, device=device),
        "attention_mask": torch.tensor(mask, device=device),
    }
