"""One token of one reply through the decoder in seven kernels a layer: what a GPU's captured step is made of.

The formulas are `decoder.py`'s and a test holds the two together; `kernels/decode_step_triton.py` says why fewer
kernels are quicker. Weights are read where they lie, under their own names; nothing is copied or joined.
"""

import torch
from torch import Tensor

from q2a_core.kernels import attention, resolve_backend
from q2a_core.model.decoder import Decoder, DecoderBlock
from q2a_core.model.fast_paths.plain import is_plain


def can_fuse(decoder: Decoder, batch: int) -> bool:
    """Whether the kernels take this decoder's step: one row, the triton backend, and nothing of it changed."""
    weight = decoder.embed_tokens.weight
    backend = resolve_backend(decoder.backend, weight.device, decoder.config.head_dim, weight.dtype)
    return batch == 1 and backend == "triton" and is_plain(decoder)


def fused_logits(
    decoder: Decoder,
    token: Tensor,
    tables: tuple[Tensor, Tensor],
    memory: Tensor,
    place: Tensor,
    lengths: Tensor,
) -> Tensor:
    """Logits (1, V) after `token` (1,), whose keys and values go to `place` (1,) of memory (L, 2, 1, Hkv, T, Dh).

    `lengths` (1,) counts the valid keys, the new one included; `tables` are the decoder's rotary tables.
    """
    from q2a_core.kernels.decode_step_triton import matvec

    with torch.cuda.device_of(token):
        x = decoder.embed_tokens(token)[0]
        for block, (keys, values) in zip(decoder.layers, memory[:, :, 0], strict=True):
            assert isinstance(block, DecoderBlock)
            x = _block(block, x, tables, place, lengths, keys, values)
        norm = decoder.norm
        return matvec(x, [decoder.lm_head.weight], gain=norm.weight, eps=norm.eps)[None]


def _block(
    block: DecoderBlock,
    x: Tensor,
    tables: tuple[Tensor, Tensor],
    place: Tensor,
    lengths: Tensor,
    keys: Tensor,
    values: Tensor,
) -> Tensor:
    """x (D,) through one block."""
    from q2a_core.kernels.decode_step_triton import matvec, rotary_append

    mixer, mlp = block.self_attn, block.mlp
    projections = (mixer.q_proj, mixer.k_proj, mixer.v_proj)
    before, between = block.input_layernorm, block.post_attention_layernorm
    qkv = matvec(
        x,
        [layer.weight for layer in projections],
        biases=[layer.bias for layer in projections],
        gain=before.weight,
        eps=before.eps,
    )
    q = rotary_append(qkv, tables, place, keys, values)
    mixed = attention(q[None, :, None], keys[None], values[None], lengths=lengths, backend="triton")
    x = matvec(mixed.flatten(), [mixer.o_proj.weight], residual=x)
    gates = [mlp.gate_proj.weight, mlp.up_proj.weight]
    wide = matvec(x, gates, gain=between.weight, eps=between.eps, gated=True)
    return matvec(wide, [mlp.down_proj.weight], residual=x)
