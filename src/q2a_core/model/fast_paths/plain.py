"""Whether a model is as this project built it: what computes in the place of its modules must know what is in them."""

import functools
from dataclasses import dataclass, field
from operator import is_

import torch
from torch import nn
from torch.nn.modules import module as all_modules

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
    """Whether somebody listens to a module's inputs or outputs, or changes them; hooks on all modules count too."""
    if _all_are_hooked():
        return True
    return any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@dataclass(slots=True)
class Fingerprint:
    """What a model consisted of at one moment: modules, types and attributes as objects, and where its weights lay."""

    objects: list[object] = field(default_factory=list)
    weights: list[object] = field(default_factory=list)

    def is_of(self, other: "Fingerprint") -> bool:
        """Whether nothing has changed: the same objects, not merely equal ones, with weights in the same places."""
        return (
            len(self.objects) == len(other.objects)
            and all(map(is_, self.objects, other.objects))
            and self.weights == other.weights
        )


def fingerprint(model: nn.Module) -> Fingerprint | None:
    """Taken in one walk, a fraction of what `is_plain` costs on a large model; None if the model is hooked."""
    if _all_are_hooked():
        return None
    found = Fingerprint()
    objects, weights = found.objects, found.weights
    waiting = [model]
    while waiting:
        module = waiting.pop()
        own = vars(module)
        if own["_forward_hooks"] or own["_forward_pre_hooks"]:
            return None
        objects.append(type(module))
        objects += own.values()
        for weight in own["_parameters"].values():
            objects.append(weight)
            if weight is not None:
                weights += (weight.data_ptr(), weight.dtype)
        inside = own["_modules"].values()
        objects += inside
        waiting += inside
    return found


def _all_are_hooked() -> bool:
    return bool(all_modules._global_forward_hooks or all_modules._global_forward_pre_hooks)


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
