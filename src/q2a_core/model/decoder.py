"""The text decoder: Qwen2's pre-norm transformer with rotary positions and grouped-query attention.

Key names and values are those of transformers' Qwen2Model plus `lm_head`.
"""

import torch
from torch import Tensor, nn

from q2a_core.config import DecoderConfig
from q2a_core.kernels import attention
from q2a_core.model.kv_cache import KVCache
from q2a_core.model.layers import RMSNorm, SwiGLU, apply_rotary, rotary_table, vector_table


class DecoderAttention(nn.Module):
    """Causal grouped-query attention with rotary positions; q, k, v have biases, the output has none."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.head_dim = config.head_dim
        kv_width = config.num_kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.d_model, config.d_model)
        self.k_proj = nn.Linear(config.d_model, kv_width)
        self.v_proj = nn.Linear(config.d_model, kv_width)
        self.o_proj = nn.Linear(config.d_model, config.d_model, bias=False)

    def qkv(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, Dh), keys and values (B, Hkv, T, Dh); queries and keys are turned by position."""
        q, k, v = (
            proj(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        # under autocast the tables are fp32 and make what they turn so
        turned = apply_rotary(torch.cat([q, k], dim=1), *rotary).to(v.dtype)
        return turned[:, : q.shape[1]], turned[:, q.shape[1] :], v

    def forward(
        self,
        x: Tensor,
        rotary: tuple[Tensor, Tensor],
        *,
        lengths: Tensor | None,
        padding_side: str,
        cache: KVCache | None,
        layer: int,
        backend: str = "auto",
    ) -> Tensor:
        q, k, v = self.qkv(x, rotary)
        if cache is not None:
            k, v = cache.append(layer, k, v)
            q = q.to(k.dtype)  # under autocast the cache keeps the weights' type
        mixed = attention(
            q, k, v, is_causal=True, lengths=lengths, padding_side=padding_side, backend=backend
        )
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class DecoderBlock(nn.Module):
    """Pre-norm attention and SwiGLU feed-forward, each with a residual."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.input_layernorm = RMSNorm(config.d_model, config.rms_norm_eps)
        self.self_attn = DecoderAttention(config)
        self.post_attention_layernorm = RMSNorm(config.d_model, config.rms_norm_eps)
        self.mlp = SwiGLU(config.d_model, config.d_ff)

    def forward(
        self,
        x: Tensor,
        rotary: tuple[Tensor, Tensor],
        *,
        lengths: Tensor | None,
        padding_side: str,
        cache: KVCache | None,
        layer: int,
        backend: str = "auto",
    ) -> Tensor:
        x = x + self.self_attn(
            self.input_layernorm(x),
            rotary,
            lengths=lengths,
            padding_side=padding_side,
            cache=cache,
            layer=layer,
            backend=backend,
        )
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Embeddings in, hidden states out; `lm_head` turns these into logits."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.config = config
        self.backend = "auto"
        self.embed_tokens = vector_table(config.vocab_size, config.d_model)
        self.layers = nn.ModuleList(DecoderBlock(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.d_model, config.rms_norm_eps)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.embed_tokens.weight

    def rotary(
        self, positions: Tensor, dtype: torch.dtype, *, cached: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines (B or 1, 1, T, Dh) of `positions` (B or 1, T)."""
        cos, sin = self.rotary_tables(cached + positions.shape[1], dtype)
        return cos[positions].unsqueeze(1), sin[positions].unsqueeze(1)

    def rotary_tables(self, length: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines (at least `length`, Dh) of all positions, where the weights are."""
        config, device = self.config, self.embed_tokens.weight.device
        length = max(config.max_positions, length)
        return rotary_table(length, config.head_dim, config.rope_theta, device, dtype)

    def forward(
        self,
        inputs_embeds: Tensor,
        positions: Tensor,
        *,
        lengths: Tensor | None = None,
        padding_side: str = "right",
        cache: KVCache | None = None,
    ) -> Tensor:
        """inputs_embeds (B, T, D) at `positions` (B or 1, T) -> final hidden states (B, T, D).

        `lengths` (B,) counts the valid keys of each row, cached ones included, on the side opposite `padding_side`.
        """
        rotary = self.rotary(
            positions, inputs_embeds.dtype, cached=0 if cache is None else cache.length
        )
        x = inputs_embeds
        for index, block in enumerate(self.layers):
            x = block(
                x,
                rotary,
                lengths=lengths,
                padding_side=padding_side,
                cache=cache,
                layer=index,
                backend=self.backend,
            )
        if cache is not None:
            cache.advance(inputs_embeds.shape[1])
        return self.norm(x)
