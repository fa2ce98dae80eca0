"""One decoding step at fixed shapes: what a GPU decodes with, captured as a CUDA graph and replayed.

A step of a large decoder on a GPU is hundreds of kernels that each run for some microseconds, about as long as Python
needs to start one. Recorded once, they start with a single call, and the step takes what reading the weights takes.
For that nothing may change its shape: attention is given the whole cache with the number of valid keys beside it, and
that number lies on the device. A single row takes the kernels of `fused_step.py`, several rows the decoder itself.
"""

import torch
from torch import Tensor

from q2a_core.model.decoder import Decoder
from q2a_core.model.fast_paths.cuda_graph import capture
from q2a_core.model.fast_paths.fused_step import can_fuse, fused_logits
from q2a_core.model.kv_cache import KVCache

WARM_UP = 2
"""Steps taken as they come before one is captured: kernels are compiled and libraries take their memory in them."""


class FixedCache(KVCache):
    """The memory of a filled cache at fixed shapes: every row's valid keys begin at 0, their number lies on the device.

    `append` writes each row's new position where that row ends and returns the whole memory; whoever reads it needs
    `lengths` (B,), which count the new position once `grow` was called. Rows padded on the left are moved.
    """

    def __init__(self, cache: KVCache, lengths: Tensor | None = None):
        batch = cache.memory.shape[2]
        device = cache.memory.device
        if lengths is None:
            lengths = torch.full((batch,), cache.length)
        self.lengths = lengths.to(device=device, dtype=torch.int32, copy=True)
        self.memory = _aligned(cache.memory, cache.length - self.lengths.long())
        self.rows = torch.arange(batch, device=device)
        self.places = self.lengths.long()
        self.max_length = cache.max_length
        # tables of positions reach to the end of the memory, whatever is in it
        self.length = self.max_length - 1

    def grow(self) -> None:
        """Make room for one position a row."""
        self.places.copy_(self.lengths)
        self.lengths += 1

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write k and v (B, Hkv, 1, Dh) of `layer`; returns keys and values (B, Hkv, max_length, Dh)."""
        keys, values = self.memory[layer]
        keys[self.rows, :, self.places] = k[:, :, 0]
        values[self.rows, :, self.places] = v[:, :, 0]
        return keys, values

    def advance(self, count: int) -> None:
        """Nothing: `grow` has counted on the device."""


class GraphStep:
    """One token per row through the decoder, after a prompt that is in the cache.

    `lengths` (B,) counts the valid positions of each row, the last ones of the cache (left padding). A step without
    padding serves one reply after another: `begin` gives the empty cache for the next prompt, and what was captured
    goes on being replayed. Off a GPU the same step runs uncaptured.
    """

    def __init__(self, decoder: Decoder, cache: KVCache, lengths: Tensor | None = None):
        self.decoder = decoder
        self.cache = cache
        self.fixed = FixedCache(cache, lengths)
        self.tokens = torch.zeros_like(self.fixed.rows)
        self.logits: Tensor | None = None
        self.graph: torch.cuda.CUDAGraph | None = None
        self.capturable = self.tokens.device.type == "cuda"
        self.steps = 0
        self.fused = can_fuse(decoder, len(self.tokens))
        # a graph reads tables and weights where they lie: they must outlive the shared cache of tables, and a model
        # that is moved or cast while a reply is on its way
        self.tables = decoder.rotary_tables(cache.max_length, cache.memory.dtype)
        self.weights = [weight.detach() for weight in decoder.parameters()]

    def begin(self) -> KVCache:
        """An empty cache in this step's memory; `start` takes over when the prompt has filled it."""
        self.cache = KVCache.over(self.fixed.memory)
        return self.cache

    def start(self) -> None:
        """Decode from the end of what the cache holds now, without padding."""
        self.fixed.lengths.fill_(self.cache.length)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits (B, V) in fp32 after `tokens` (B,)."""
        if self.cache.length >= self.cache.max_length:
            raise ValueError(
                f"the cache holds {self.cache.max_length} positions; one more was asked for"
            )
        self.tokens.copy_(tokens)
        if self.graph is None and self.capturable and self.steps >= WARM_UP:
            captured = capture(self.tokens.device, self._step)
            if captured is None:
                self.capturable = False
            else:
                self.graph, self.logits = captured
        if self.graph is None:
            self.logits = self._step()
        else:
            self.graph.replay()
        self.cache.advance(1)
        self.steps += 1
        assert self.logits is not None
        return self.logits.to(torch.float32, copy=True)  # the next replay writes over it

    def _step(self) -> Tensor:
        self.fixed.grow()
        if self.fused:
            fixed = self.fixed
            return fused_logits(
                self.decoder, self.tokens, self.tables, fixed.memory, fixed.places, fixed.lengths
            )
        hidden_states = self.decoder(
            self.decoder.embed_tokens(self.tokens)[:, None],
            self.fixed.places[:, None],
            lengths=self.fixed.lengths,
            padding_side="right",
            cache=self.fixed,
        )
        return self.decoder.lm_head(hidden_states)[:, 0]


def _aligned(memory: Tensor, padding: Tensor) -> Tensor:
    """memory (L, 2, B, Hkv, T, Dh) with each row's first `padding` (B,) positions moved to its end; itself if none."""
    if not bool(padding.any()):
        return memory
    length = memory.shape[4]
    places = (torch.arange(length, device=memory.device) + padding[:, None]) % length  # (B, T)
    return memory.gather(4, places[None, None, :, None, :, None].expand_as(memory))
