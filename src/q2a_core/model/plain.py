"""Whether a model is as this project built it: what computes in the place of its modules must know what is in them."""

from torch import nn

from q2a_core.model.audio_encoder import EncoderAttention, EncoderBlock
from q2a_core.model.decoder import Decoder, DecoderAttention, DecoderBlock
from q2a_core.model.layers import RMSNorm, SwiGLU

KNOWN = frozenset(
    (
        *(EncoderBlock, EncoderAttention, nn.LayerNorm),
        *(Decoder, DecoderBlock, DecoderAttention, SwiGLU, RMSNorm),
        *(nn.ModuleList, nn.Linear, nn.Embedding),
    )
)


def is_plain(part: nn.Module) -> bool:
    """Whether a decoder or a list of blocks holds this project's own modules alone, none wrapped, adapted or packed."""
    return all(
        type(module) in KNOWN and "forward" not in vars(module) and _is_whole(module)
        for module in part.modules()
    )


def is_hooked(model: nn.Module) -> bool:
    """Whether somebody listens to a module's inputs or outputs, or changes them."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def _is_whole(module: nn.Module) -> bool:
    if isinstance(module, nn.Linear):
        return module.weight.is_contiguous()
    if isinstance(module, DecoderAttention):
        return all(
            layer.bias is not None for layer in (module.q_proj, module.k_proj, module.v_proj)
        )
    return True
