"""Greedy decoding written out, from what enters the decoder, with the KV cache and without it.

    inputs_embeds (1, T, D) -> decoder -> lm_head -> the likeliest token -> its embedding at the end -> again

`inference.generate` does the same faster and for batches, penalties and sampling. Here the input is the sequence of
vectors itself, so that it may be put together, or put together wrongly, by hand.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from q2a_core.model import Qwen2Audio


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HandDecoded:
    """A reply and what it took."""

    token_ids: list[int]
    """Without the stop token."""
    logits: Tensor  # (steps, V), what each token was chosen from, the stop token included
    positions: list[int]
    """How many positions the decoder ran in each step."""
    seconds: list[float]
    """How long each step took."""


@torch.inference_mode()
def decode_by_hand(
    model: Qwen2Audio,
    inputs_embeds: Tensor,
    *,
    stop_ids: Sequence[int],
    max_new_tokens: int,
    cached: bool = True,
) -> HandDecoded:
    """The greedy reply to one row of vectors; without the cache every step runs the whole sequence again.

    Raises ValueError for anything but one row.
    """
    if inputs_embeds.ndim != 3 or len(inputs_embeds) != 1:
        raise ValueError(f"inputs_embeds is {tuple(inputs_embeds.shape)}; expected (1, T, D)")
    decoder = model.decoder
    cache = model.new_cache(1, inputs_embeds.shape[1] + max_new_tokens) if cached else None
    sequence = new = inputs_embeds
    token_ids, rows, counts, seconds = [], [], [], []
    for _ in range(max_new_tokens):
        start = time.perf_counter()
        x = sequence if cache is None else new
        places = torch.arange(sequence.shape[1], device=x.device)[None, -x.shape[1] :]
        logits = decoder.lm_head(decoder(x, places, cache=cache)[:, -1]).float()
        token = int(logits.argmax())
        seconds.append(time.perf_counter() - start)
        counts.append(x.shape[1])
        rows.append(logits)
        if token in stop_ids:
            break
        token_ids.append(token)
        new = decoder.embed_tokens(torch.tensor([[token]], device=x.device))
        sequence = torch.cat([sequence, new], dim=1)
    return HandDecoded(
        token_ids=token_ids, logits=torch.cat(rows), positions=counts, seconds=seconds
    )
