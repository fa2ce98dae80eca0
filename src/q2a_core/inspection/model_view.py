"""A view of the decoder for one call: the same weights, with blocks that write down or push the residual stream.

A hook on a module is seen by everyone who runs it, and several people share one model. A view is a second set of module
objects around the same blocks: whoever holds it sees the wrapped blocks, whoever holds the model does not, and nothing
of the model is written to. Blocks are counted from 1; state 0 is the embedding that enters the first.
"""

import copy
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from q2a_core.inference import Prompt
from q2a_core.inference.batch import encoded_batch
from q2a_core.kernels import resolve_backend
from q2a_core.model import Qwen2Audio

Viewed = TypeVar("Viewed", bound=nn.Module)


class RecordingBlock(nn.Module):
    """A block that appends its output's last position (B, D) to a list of the caller's."""

    def __init__(self, block: nn.Module, record: list[Tensor]):
        super().__init__()
        self.block = block
        self.record = record

    def forward(self, x: Tensor, *args, **options) -> Tensor:
        if not self.record:
            self.record.append(x[:, -1])
        x = self.block(x, *args, **options)
        self.record.append(x[:, -1])
        return x


class SteeredBlock(nn.Module):
    """A block whose output has `vector` (D,) added at the last position: where the next token is decided.

    While decoding that is the prompt's last position, then every token of the reply.
    """

    def __init__(self, block: nn.Module, vector: Tensor):
        super().__init__()
        self.block = block
        self.vector = nn.Buffer(vector, persistent=False)

    def forward(self, x: Tensor, *args, **options) -> Tensor:
        x = self.block(x, *args, **options)
        return torch.cat([x[:, :-1], x[:, -1:] + self.vector], dim=1)


def view_with_blocks(model: Qwen2Audio, wrap: Callable[[int, nn.Module], nn.Module]) -> Qwen2Audio:
    """A view of `model` in which block k, counted from 1, is `wrap(k, block)`."""
    blocks = [wrap(number, block) for number, block in enumerate(model.decoder.layers, start=1)]
    decoder = _view(model.decoder, layers=nn.ModuleList(blocks))
    # named, not "auto": the NumPy decoding step knows the plain blocks only
    weight, width = model.decoder.embed_tokens.weight, model.config.decoder.head_dim
    decoder.backend = resolve_backend(model.decoder.backend, weight.device, width, weight.dtype)
    return _view(model, decoder=decoder)


def steered_view(model: Qwen2Audio, layer: int, vector: Tensor) -> Qwen2Audio:
    """A view that adds `vector` (D,) to the output of block `layer`, 1 to L. Raises ValueError for another."""
    count = model.config.decoder.num_layers
    if not 1 <= layer <= count:
        raise ValueError(f"layer is {layer}; expected 1 to {count}")
    weight = model.decoder.embed_tokens.weight
    vector = vector.to(weight.device, weight.dtype)
    return view_with_blocks(
        model, lambda number, block: SteeredBlock(block, vector) if number == layer else block
    )


def last_states(model: Qwen2Audio, prompts: Sequence[Prompt]) -> Tensor:
    """The residual stream at the last position of each prompt, (L + 1, B, D) in fp32 on the CPU.

    State 0 is the embedding, state k the output of block k, before the final norm.
    """
    device = model.decoder.embed_tokens.weight.device
    record: list[Tensor] = []
    view = view_with_blocks(model, lambda number, block: RecordingBlock(block, record))
    with torch.inference_mode():
        view.hidden_states(**encoded_batch(prompts, device=device))
        return torch.stack(record).float().cpu()


def _view(module: Viewed, **children: nn.Module) -> Viewed:
    """A module object of its own with the same parameters, and these children in the place of its own."""
    view = copy.copy(module)
    view._modules = {**module._modules, **children}
    return view
