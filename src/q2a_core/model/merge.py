"""The one multimodal line of the model: audio embeddings are written over the placeholder run in the text
embeddings."""

import torch
from torch import Tensor

from q2a_core.errors import ChatError


def merge_audio(
    text_embeds: Tensor,
    audio_embeds: Tensor | None,
    input_ids: Tensor,
    audio_token_id: int,
    placeholders: int | None = None,
) -> Tensor:
    """Write packed audio_embeds (sum of A, D) over the placeholders of text_embeds (B, T, D), in reading order.

    Clips must be listed in the order in which their placeholders appear, row by row. Raises ChatError if the counts
    disagree, none against some included: writing anyway would silently shift every later clip, as embeddings of
    another width would; these raise ValueError. Whoever has counted the `placeholders` spares the device a wait.
    """
    width = text_embeds.shape[-1]
    if audio_embeds is not None and (audio_embeds.ndim != 2 or audio_embeds.shape[1] != width):
        raise ValueError(
            f"audio_embeds has shape {tuple(audio_embeds.shape)}; expected one row of width {width} for each audio "
            "token: what encode_audio of this model gives"
        )
    placeholder = input_ids == audio_token_id  # (B, T)
    expected = int(placeholder.sum()) if placeholders is None else placeholders
    check_counts(expected, 0 if audio_embeds is None else audio_embeds.shape[0])
    if audio_embeds is None:
        return text_embeds
    return text_embeds.masked_scatter(placeholder.unsqueeze(-1), audio_embeds.to(text_embeds.dtype))


def check_counts(placeholders: int, audio_tokens: int) -> None:
    """Raises ChatError unless there is a placeholder for each audio token."""
    if placeholders != audio_tokens:
        raise ChatError(
            f"the text has {placeholders} audio placeholders but the clips give {audio_tokens} audio tokens; "
            "expand one placeholder per 40 ms token of each clip, in the order of the clips"
        )


def pack_valid(padded: Tensor, lengths: Tensor) -> Tensor:
    """Drop the padding of (N, A, D): the first `lengths[n]` rows of each clip, one after the other (sum of A, D)."""
    if len(padded) == 1:  # without the mask no device has to be waited for
        return padded[0, : int(lengths)]
    valid = torch.arange(padded.shape[1], device=padded.device) < lengths.to(padded.device)[:, None]
    return padded[valid]
