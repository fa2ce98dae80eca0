"""One decoding step in NumPy: what a small model on a CPU decodes with, after the prompt.

A step of a small decoder is a few hundred tiny operations, and torch spends several microseconds on starting each.
NumPy spends under one, so the same formulas, on the same memory and with query, key and value joined, take a fraction
of the time. `decoder.py` stays the reference, and a test holds the two together.
"""

import numpy as np
import torch
from torch import Tensor, nn

from q2a_core.model.decoder import Decoder, DecoderBlock
from q2a_core.model.fast_paths.plain import is_hooked, is_plain
from q2a_core.model.kv_cache import KVCache
from q2a_core.model.layers import RMSNorm, rotary_table
from q2a_core.model.qwen2_audio import Qwen2Audio

WIDEST = 1024
"""Decoder width above which the matrix products weigh more than the calls, and torch's threads win."""


def can_step(model: Qwen2Audio) -> bool:
    """Whether this model may take the NumPy step: small, fp32, on the CPU, attention not chosen, nothing of it changed
    and nobody hooked in.
    """
    decoder = model.decoder
    return (
        all(p.device.type == "cpu" and p.dtype == torch.float32 for p in decoder.parameters())
        and decoder.config.d_model <= WIDEST
        and decoder.backend == "auto"
        and not is_hooked(model)
        and is_plain(decoder)
    )


class CpuStep:
    """One token per row through the decoder; made for one reply, from the weights as they are then."""

    def __init__(self, decoder: Decoder, cache: KVCache):
        config = decoder.config
        self.config = config
        self.cache = cache
        self.memory = cache.memory.numpy()  # (L, 2, B, Hkv, T, Dh), shared with torch
        self.blocks = [_Block(block) for block in decoder.layers]  # type: ignore[arg-type]
        self.embedding = _array(decoder.embed_tokens.weight)
        self.norm = _norm_weight(decoder.norm)
        self.head = _array(decoder.lm_head.weight).T
        cos, sin = rotary_table(
            max(config.max_positions, cache.max_length),
            config.head_dim,
            config.rope_theta,
            torch.device("cpu"),
            torch.float32,
        )
        self.cos, self.sin = cos.numpy(), sin.numpy()
        self.floor = np.float32(config.d_model * config.rms_norm_eps)
        half = config.head_dim // 2
        self.swap = np.r_[half : config.head_dim, :half]

    def __call__(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (B, V) after `tokens` (B,); `lengths` (B,) counts each row's valid keys, this one included, the last
        ones of the cache (left padding).
        """
        config, place = self.config, self.cache.length
        stop = place + 1
        if stop > self.cache.max_length:
            raise ValueError(
                f"the cache holds {self.cache.max_length} positions; one more was asked for"
            )
        valid = np.full(len(tokens), stop) if lengths is None else lengths.numpy()
        hidden_keys = None
        if lengths is not None:
            hidden_keys = np.arange(stop) < (stop - valid)[:, None, None, None]  # (B, 1, 1, stop)
        cos, sin = self.cos[valid - 1, None], self.sin[valid - 1, None]  # (B, 1, Dh)
        x = self.embedding[tokens.numpy()]
        grouped = (len(x), config.num_kv_heads, -1, config.head_dim)
        with np.errstate(over="ignore"):  # exp of a very negative gate is inf, and its share 0
            for block, (keys, values) in zip(self.blocks, self.memory, strict=True):
                heads = self._unit(x) @ block.qkv
                heads = (heads + block.qkv_bias).reshape(len(x), -1, config.head_dim)
                turned = heads[:, : -config.num_kv_heads]
                turned = turned * cos + turned.take(self.swap, -1) * sin
                keys[:, :, place] = turned[:, config.num_heads :]
                values[:, :, place] = heads[:, -config.num_kv_heads :]
                q = turned[:, : config.num_heads].reshape(grouped)
                mixed = _attend(q, keys[:, :, :stop], values[:, :, :stop], hidden_keys)
                x = x + mixed @ block.output
                gate_up = self._unit(x) @ block.gate_up
                gate, up = gate_up[:, : config.d_ff], gate_up[:, config.d_ff :]
                x = x + (gate / (1.0 + np.exp(-gate)) * up) @ block.down
        self.cache.advance(1)
        return torch.from_numpy((self._unit(x) * self.norm) @ self.head)

    def _unit(self, x: np.ndarray) -> np.ndarray:
        """RMSNorm without its weight and the root of the width, which the matrices behind it hold."""
        return x / np.sqrt(np.vecdot(x, x)[:, None] + self.floor)


class _Block:
    """A block's weights as (in, out) matrices, those that read the same input joined.

    Into what reads a norm's output the norm's weight is multiplied, and attention's scale into the queries.
    """

    def __init__(self, block: DecoderBlock):
        attention, mlp = block.self_attn, block.mlp
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        self.qkv = _joined(*projections, norm=block.input_layernorm)
        self.qkv_bias = np.concatenate([_array(layer.bias) for layer in projections])
        queries, scale = attention.q_proj.out_features, np.float32(attention.head_dim**-0.5)
        self.qkv[:, :queries] *= scale
        self.qkv_bias[:queries] *= scale
        self.output = _array(attention.o_proj.weight).T
        self.gate_up = _joined(mlp.gate_proj, mlp.up_proj, norm=block.post_attention_layernorm)
        self.down = _array(mlp.down_proj.weight).T


def _attend(
    q: np.ndarray, keys: np.ndarray, values: np.ndarray, hidden_keys: np.ndarray | None
) -> np.ndarray:
    """Softmax attention of one query position: q (B, Hkv, H / Hkv, Dh), scaled already -> (B, D)."""
    scores = q @ keys.swapaxes(-1, -2)
    if hidden_keys is not None:
        scores = np.where(hidden_keys, np.float32("-inf"), scores)
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    return (scores @ values).reshape(len(q), -1)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def _norm_weight(norm: RMSNorm) -> np.ndarray:
    """A norm's weight times the root of the width: x over its length, instead of over its root mean square."""
    weight = _array(norm.weight)
    return weight * np.float32(len(weight) ** 0.5)


def _joined(*layers: nn.Linear, norm: RMSNorm) -> np.ndarray:
    return (np.concatenate([_array(layer.weight) for layer in layers]) * _norm_weight(norm)).T
