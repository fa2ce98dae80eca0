"""Whether a model is as this project built it: what computes in the place of its modules must know what is in them."""

import functools

import torch
from torch import nn

from q2a_core.config import DecoderConfig, EncoderConfig
from q2a_core.model.audio_encoder import AudioEncoder
from q2a_core.model.decoder import Decoder

FREE = vars(nn.Module()).keys() | {"backend"}
"""Attributes that every module has, and one that whoever asks looks at himself."""


def is_plain(part: Decoder | AudioEncoder) -> bool:
    """Whether a decoder or an encoder is what its config builds, weights aside: nothing added, left out or replaced.

    Modules, shapes, biases and constants are compared, and a method put on one object is seen as well.
    """
    if type(part) not in (Decoder, AudioEncoder):
        return False
    return [_described(module) for module in part.modules()] == _as_built(type(part), part.config)


def is_hooked(model: nn.Module) -> bool:
    """Whether somebody listens to a module's inputs or outputs, or changes them."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@functools.lru_cache(maxsize=8)
def _as_built(
    kind: type[Decoder] | type[AudioEncoder], config: DecoderConfig | EncoderConfig
) -> list[tuple[object, ...]]:
    """Built without memory, and once: an answer asks again."""
    with torch.device("meta"):
        return [_described(module) for module in kind(config).modules()]  # type: ignore[arg-type]


def _described(module: nn.Module) -> tuple[object, ...]:
    """All but the numbers: a packed weight is of another type, a transposed one has other strides."""
    parameters = {
        name: None if p is None else (type(p), p.shape, p.is_contiguous())
        for name, p in module._parameters.items()
    }
    own = vars(module)
    attributes = {name: own[name] for name in own.keys() - FREE}
    return type(module), parameters, attributes
