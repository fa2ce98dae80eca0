"""Keys and values of all decoder layers, kept between decoding steps in memory that is taken once."""

import torch
from torch import Tensor

from q2a_core.config import DecoderConfig


class KVCache:
    """Preallocated keys and values; `length` is a plain int, so that no step waits for the device.

    `append` writes one layer's new positions and returns all valid ones as views; `advance` moves on once all layers
    have written. It is passed into the model, never stored on it.
    """

    def __init__(
        self,
        config: DecoderConfig,
        *,
        batch_size: int,
        max_length: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        shape = (config.num_layers, 2, batch_size, config.num_kv_heads, max_length, config.head_dim)
        self.memory = torch.zeros(shape, device=device, dtype=dtype)
        self.max_length = max_length
        self.length = 0

    @classmethod
    def over(cls, memory: Tensor) -> "KVCache":
        """An empty cache in `memory` (L, 2, B, Hkv, T, Dh)."""
        cache = cls.__new__(cls)
        cache.memory, cache.max_length, cache.length = memory, memory.shape[4], 0
        return cache

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write k and v (B, Hkv, T, Dh) at the end of `layer`; returns keys and values (B, Hkv, length + T, Dh).

        Raises ValueError if they ask for gradients, or for more positions than the cache holds.
        """
        if torch.is_grad_enabled() and (k.requires_grad or v.requires_grad):
            raise ValueError(
                "a cache keeps no gradients; call the model with it under torch.no_grad() or torch.inference_mode()"
            )
        stop = self.length + k.shape[2]
        if stop > self.max_length:
            raise ValueError(
                f"the cache holds {self.max_length} positions; position {stop} was asked for"
            )
        keys, values = self.memory[layer, 0], self.memory[layer, 1]
        keys[:, :, self.length : stop] = k
        values[:, :, self.length : stop] = v
        return keys[:, :, :stop], values[:, :, :stop]

    def advance(self, count: int) -> None:
        """Count `count` new positions as written in every layer."""
        self.length += count
