"""Attention written as the formula says, in fp32: the specification that every other backend is tested against.

    attention(q, k, v) = softmax(scale * q k^T + mask) v        (Vaswani et al. 2017, eq. 1)

Layout, here and everywhere: q (B, H, Tq, Dh), k and v (B, Hkv, Tk, Dh); H is a multiple of Hkv, and query head h
reads key head h // (H / Hkv). Masks are boolean, True = attend. Causal alignment is bottom-right: the last query sees
the last key, so that Tq < Tk means "the newest Tq positions". A query that may attend to nothing gives zeros, and so
does one that is padding itself: where Tq = Tk, `lengths` counts queries too. What padding holds, NaN included, never
matters, forward or backward.
"""

import contextlib

import torch
from torch import Tensor

from q2a_core.kernels.attention_inputs import as_number, check_inputs


def key_mask(keys: int, lengths: Tensor, padding_side: str = "right") -> Tensor:
    """(B, keys), True for the valid ones: with `padding_side="left"` they are each sequence's last `lengths`."""
    key, lengths = torch.arange(keys, device=lengths.device), lengths.long().view(-1, 1)
    return key < lengths if padding_side == "right" else key >= keys - lengths


def attention_mask(
    q: Tensor,
    k: Tensor,
    *,
    is_causal: bool,
    lengths: Tensor | None,
    padding_side: str = "right",
    rows: Tensor | None = None,
) -> Tensor | None:
    """Boolean mask (B or 1, 1, Tq, Tk), True = attend; None if everything may attend to everything.

    `lengths` (B,) counts each sequence's valid keys; with `padding_side="left"` the valid ones are the last. `rows`
    (R,) names the queries in question, all of them by default.
    """
    tq, tk = q.shape[2], k.shape[2]
    mask = None
    if lengths is not None:
        mask = key_mask(tk, lengths.to(q.device), padding_side)[:, None, None, :]
    if is_causal and tq > 1:
        rows = torch.arange(tq, device=q.device) if rows is None else rows
        newest = rows[:, None] + (tk - tq)
        causal = (torch.arange(tk, device=q.device) <= newest)[None, None]  # (1, 1, rows, Tk)
        mask = causal if mask is None else mask & causal
    return mask


def padded_queries(
    q: Tensor, k: Tensor, lengths: Tensor | None, padding_side: str
) -> Tensor | None:
    """(B, 1, Tq, 1), True for queries that are padding; None where that is not known.

    With as many queries as keys both are the same positions, so that what is no key is no query.
    """
    if lengths is None or q.shape[2] != k.shape[2]:
        return None
    return ~key_mask(q.shape[2], lengths.to(q.device), padding_side)[:, None, :, None]


def without_padding(x: Tensor, lengths: Tensor | None, padding_side: str) -> Tensor:
    """Keys or values (B, Hkv, Tk, Dh) with zeros where they are padding: a weight of zero does not silence a NaN."""
    if lengths is None:
        return x
    valid = key_mask(x.shape[2], lengths.to(x.device), padding_side)
    return x.masked_fill(~valid[:, None, :, None], 0.0)


def repeat_kv(x: Tensor, num_heads: int) -> Tensor:
    """(B, Hkv, T, Dh) -> (B, H, T, Dh): every key-value head repeated for the query heads that share it."""
    batch, num_kv_heads, length, head_dim = x.shape
    if num_kv_heads == num_heads:
        return x
    groups = num_heads // num_kv_heads
    return x[:, :, None].expand(-1, -1, groups, -1, -1).reshape(batch, num_heads, length, head_dim)


def without_autocast(device: torch.device) -> contextlib.AbstractContextManager:
    """Products are computed in the type they are given in; autocast would round scores to half precision."""
    if not torch.amp.is_autocast_available(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)


def attention_weights(
    q: Tensor,
    k: Tensor,
    is_causal: bool = False,
    lengths: Tensor | None = None,
    scale: float | None = None,
    *,
    padding_side: str = "right",
) -> Tensor:
    """The softmax itself, fp32 (B, H, Tq, Tk); rows sum to one, or to zero where nothing may be attended to.

    Raises ValueError for shapes, types or lengths that do not fit.
    """
    check_inputs(q, k, None, lengths, padding_side)
    scale = as_number(scale)
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    keys = repeat_kv(without_padding(k, lengths, padding_side), q.shape[1])
    padded = padded_queries(q, k, lengths, padding_side)
    if padded is not None:
        q = q.masked_fill(padded, 0.0)
    with without_autocast(q.device):
        scores = factor * (q.float() @ keys.float().transpose(-1, -2))
    mask = attention_mask(q, k, is_causal=is_causal, lengths=lengths, padding_side=padding_side)
    if mask is None:
        return scores.softmax(-1)
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1) * mask
    return weights if padded is None else weights.masked_fill(padded, 0.0)


def attention_reference(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    is_causal: bool = False,
    lengths: Tensor | None = None,
    scale: float | None = None,
    *,
    padding_side: str = "right",
) -> Tensor:
    """Attention through the explicit (B, H, Tq, Tk) weights; returns (B, H, Tq, Dh) in q's dtype."""
    weights = attention_weights(q, k, is_causal, lengths, scale, padding_side=padding_side)
    values = repeat_kv(without_padding(v, lengths, padding_side), q.shape[1])
    with without_autocast(q.device):
        out = (weights @ values.float()).to(q.dtype)
    padded = padded_queries(q, k, lengths, padding_side)
    # nor does the gradient that comes back to padding: times a weight of zero it would still be NaN
    return out if padded is None else out.masked_fill(padded, 0.0)
