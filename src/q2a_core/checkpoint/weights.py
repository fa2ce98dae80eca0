"""Weights between our module tree and the hub's key names, streamed shard by shard.

ours                        hub (what is published and what is written)
audio_encoder.*             audio_tower.*
projector.*                 multi_modal_projector.*
decoder.lm_head.*           language_model.lm_head.*
decoder.*                   language_model.model.*
"""

import re
from pathlib import Path

import torch
from torch import Tensor, nn

from q2a_core.checkpoint.weight_files import stored_tensors
from q2a_core.errors import CheckpointError
from q2a_core.model import Qwen2Audio

HUB_PREFIXES = (
    ("audio_tower.", "audio_encoder."),
    ("multi_modal_projector.", "projector."),
    ("language_model.lm_head.", "decoder.lm_head."),
    ("language_model.model.", "decoder."),
)
"""Published key prefix and ours; the first that fits is taken."""
MEMORY_PREFIXES = (
    ("model.audio_tower.", "audio_encoder."),
    ("model.multi_modal_projector.", "projector."),
    ("lm_head.", "decoder.lm_head."),
    ("model.language_model.", "decoder."),
)
"""Key prefixes inside transformers 5, which a state dict saved by hand may carry."""
IGNORED_KEY = re.compile(r".*rotary_emb\.inv_freq$")
"""Tables that older versions stored and everybody recomputes."""


WRAPPERS = {
    "module.": "DataParallel puts there; save the model inside the wrapper, its `.module`",
    "base_model.model.": "PEFT puts there; call merge_and_unload() and save the model that it returns",
    "_orig_mod.": "torch.compile puts there; save the model that was compiled, its `._orig_mod`",
}
"""Prefixes of a wrapped model's keys: whose they are and what to do."""


def from_hub_key(key: str) -> str | None:
    """Our name of a stored tensor, None if it is none of the model's."""
    for theirs, ours in HUB_PREFIXES + MEMORY_PREFIXES:
        if key.startswith(theirs):
            return ours + key[len(theirs) :]
    return None


def to_hub_key(key: str) -> str:
    """The hub's name of our parameter."""
    for theirs, ours in HUB_PREFIXES:
        if key.startswith(ours):
            return theirs + key[len(ours) :]
    raise KeyError(key)


TRAINING_FILE = "training/heads.safetensors"
"""Inside a checkpoint: what only training on needs. In a folder of its own, so that no reader takes it for weights."""
RUN_LOG_FILE = "training/log.jsonl"
"""Beside it: the log of the run that made the checkpoint."""


def load_weights(model: Qwen2Audio, files: list[Path], *, device: str, dtype: torch.dtype) -> None:
    """Fill a model built on the meta device, tensor by tensor, so that host memory holds one shard at most.

    Raises CheckpointError naming what is missing, unknown, not finite or of another shape.
    """
    expected = dict(model.named_parameters(remove_duplicate=False))
    filled: dict[str, str] = {}  # our name to the key that it came from
    unknown: list[str] = []
    for key, tensor in stored_tensors(files, device=device):
        name = from_hub_key(key)
        if name is None or name not in expected:
            if not IGNORED_KEY.match(key):
                unknown.append(key)
            continue
        shape = tuple(expected[name].shape)
        if tuple(tensor.shape) != shape:
            raise CheckpointError(
                f"{key} has shape {tuple(tensor.shape)}; config.json asks for {shape}"
            )
        if not tensor.is_floating_point():
            raise CheckpointError(f"{key} holds {tensor.dtype}; expected floating-point weights")
        if not _is_finite(tensor):
            raise CheckpointError(
                f"{key} holds NaN or infinite values; the weights are damaged or their training went wrong"
            )
        tensor = tensor.to(dtype=dtype, copy=True)
        if name in filled and not torch.equal(tensor, model.get_parameter(name)):
            raise CheckpointError(
                f"{filled[name]} and {key} are two names of one parameter and hold different values; "
                "remove the wrong one"
            )
        _assign(model, name, tensor)
        filled[name] = key
    head, embedding = "decoder.lm_head.weight", "decoder.embed_tokens.weight"
    if model.config.decoder.tie_word_embeddings and embedding in filled and head not in filled:
        model.decoder.lm_head.weight = model.decoder.embed_tokens.weight
        filled[head] = embedding
    missing = sorted(set(expected) - set(filled))
    _refuse_wrapped(unknown)
    if unknown or missing:
        tied = (
            "; a head that is the embedding needs text_config.tie_word_embeddings: true in config.json, where the "
            "flag at the top does not count"
        )
        raise CheckpointError(
            f"the weights do not fit config.json: {_some('missing', [to_hub_key(name) for name in missing])}"
            f"{'; ' if missing and unknown else ''}{_some('unknown', unknown)}"
            f"{tied if missing == [head] else ''}"
        )


def hub_state(model: Qwen2Audio, *, dtype: torch.dtype) -> dict[str, Tensor]:
    """The model's tensors under the hub's names, contiguous, on the CPU; a tied head is stored again.

    Transformers 5 keeps embedding and head apart whatever config.json says, and would start the head at random. Raises
    CheckpointError if a tensor is not finite in `dtype`: nobody could open it.
    """
    state = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        key = to_hub_key(name)
        state[key] = parameter.detach().to(device="cpu", dtype=dtype).contiguous()
        if not _is_finite(state[key]):
            raise CheckpointError(_not_finite(key, parameter.detach(), dtype))
    if model.decoder.lm_head.weight is model.decoder.embed_tokens.weight:
        head = to_hub_key("decoder.lm_head.weight")
        state[head] = state[head].clone()
    return state


def _is_finite(tensor: Tensor) -> bool:
    # a sum carries NaN and infinity on, and needs no memory of its own; it may overflow where no value does
    return bool(tensor.sum(dtype=torch.float32).isfinite()) or bool(tensor.isfinite().all())


def _not_finite(key: str, tensor: Tensor, dtype: torch.dtype) -> str:
    name = str(dtype).removeprefix("torch.")
    if not _is_finite(tensor):
        return f"{key} holds NaN or infinite values, which no reader takes; save weights from before they appeared"
    return (
        f"{key} reaches {float(tensor.abs().max()):.3g}, {name} {torch.finfo(dtype).max:.3g} at most; "
        "save with a wider dtype, bfloat16 or float32"
    )


def _assign(model: nn.Module, name: str, tensor: Tensor) -> None:
    parent, _, leaf = name.rpartition(".")
    module = model.get_submodule(parent)
    trainable = getattr(module, leaf).requires_grad
    setattr(module, leaf, nn.Parameter(tensor, requires_grad=trainable))


def _refuse_wrapped(unknown: list[str]) -> None:
    """Raise CheckpointError for keys that a wrapper has put its prefix before."""
    for prefix, remedy in WRAPPERS.items():
        if unknown and all(key.startswith(prefix) for key in unknown):
            raise CheckpointError(
                f"{len(unknown)} keys of the weights begin with {prefix!r}, which {remedy}"
            )


def _some(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    shown = ", ".join(keys[:3])
    return f"{len(keys)} {what} ({shown}{', ...' if len(keys) > 3 else ''})"
