"""What turns the last tokens of a reply into the next logits: a captured step on a GPU, NumPy, or the model itself."""

from collections.abc import Callable

import torch
from torch import Tensor

from q2a_core.model import CpuStep, GraphStep, KVCache, Qwen2Audio, can_step, graphs_of


def decode_step_of(
    model: Qwen2Audio, cache: KVCache, attention_mask: Tensor | None
) -> Callable[[Tensor], Tensor]:
    """The quickest of them that this model, cache and padding allow: last tokens (B,) to logits (B, V)."""
    left_padded = attention_mask is None or bool(attention_mask[:, -1].all())
    if left_padded and graphs_of(model) is not None:
        lengths = None if attention_mask is None else attention_mask.long().sum(-1)
        return GraphStep(model.decoder, cache, lengths)
    if left_padded and can_step(model):
        return _numpy_step(model, cache, attention_mask)
    return _model_step(model, cache, attention_mask)


def _numpy_step(
    model: Qwen2Audio, cache: KVCache, attention_mask: Tensor | None
) -> Callable[[Tensor], Tensor]:
    step = CpuStep(model.decoder, cache)

    def decode(tokens: Tensor) -> Tensor:
        lengths = None
        if attention_mask is not None:
            new = cache.length + 1 - attention_mask.shape[1]
            lengths = attention_mask.long().sum(-1) + new
        return step(tokens, lengths)

    return decode


def _model_step(
    model: Qwen2Audio, cache: KVCache, attention_mask: Tensor | None
) -> Callable[[Tensor], Tensor]:
    def decode(tokens: Tensor) -> Tensor:
        nonlocal attention_mask
        if attention_mask is not None:
            new = attention_mask.new_ones(len(tokens), 1)
            attention_mask = torch.cat([attention_mask, new], dim=-1)
        output = model(tokens[:, None], attention_mask=attention_mask, cache=cache, last_only=True)
        return output.logits[:, -1].float()

    return decode
