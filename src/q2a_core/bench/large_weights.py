"""One set of random tensors for both models of the real size."""

from typing import Any

import torch
from torch import Tensor

from q2a_core.checkpoint.weights import from_hub_key
from q2a_core.errors import Q2AError
from q2a_core.model import Qwen2Audio

INIT_STD = 0.02


@torch.no_grad()
def draw_weights(model: Qwen2Audio) -> None:
    """Small random weights, norms of one, drawn where they lie."""
    generator = torch.Generator(model.decoder.embed_tokens.weight.device).manual_seed(0)
    for name, parameter in model.named_parameters():
        if "norm" in name and name.endswith("weight"):
            parameter.fill_(1.0)
        else:
            parameter.normal_(0.0, INIT_STD, generator=generator)


def share_weights(model: Qwen2Audio, theirs: Any) -> None:
    """Let our parameters be transformers', tensor by tensor. Raises Q2AError if one has no counterpart.

    Ours may lie on the meta device: the other way round both models would be held for a moment.
    """
    ours = dict(model.named_parameters(remove_duplicate=False))
    taken: dict[Tensor, Any] = {}
    for key, parameter in theirs.named_parameters(remove_duplicate=False):
        name = from_hub_key(key) or ""
        own = ours.pop(name, None)
        if own is None or own.shape != parameter.shape:
            raise Q2AError(
                f"transformers' {key} {tuple(parameter.shape)} has no counterpart of that shape here"
            )
        shared = taken.setdefault(own, parameter)  # where we use a matrix twice, so do they
        parameter.data = shared.data
        module, _, place = name.rpartition(".")
        setattr(model.get_submodule(module), place, shared)
    if ours:
        raise Q2AError(f"transformers has no {', '.join(list(ours)[:3])}")
