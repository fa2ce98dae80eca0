"""Attention written as the formula says, in fp32: the specification that every other backend is tested against.

    attention(q, k, v) = softmax(scale * q k^T + mask) v        (Vaswani et al. 2017, eq. 1)

Layout, here and everywhere: q (B, H, Tq, Dh), k and v (B, Hkv, Tk, Dh); H is a multiple of Hkv, and query head h
reads key head h // (H / Hkv). Masks are boolean, True = attend. Causal alignment is bottom-right: the last query sees
the last key, so that Tq < Tk means "the newest Tq positions". A query that may attend to nothing gives zeros, and so
does one that is padding itself: where Tq = Tk, `lengths` counts queries too.
"""

import torch
from torch import Tensor


def attention_mask(
    q: Tensor, k: Tensor, *, is_causal: bool, lengths: Tensor | None, padding_side: str = "right"
) -> Tensor | None:
    """Boolean mask (B or 1, 1, Tq, Tk), True = attend; None if everything may attend to everything.

    `lengths` (B,) counts each sequence's valid keys; with `padding_side="left"` the valid ones are the last.
    """
    tq, tk = q.shape[2], k.shape[2]
    mask = None
    if lengths is not None:
        key = torch.arange(tk, device=q.device)
        lengths = lengths.to(q.device).view(-1, 1)
        valid = key < lengths if padding_side == "right" else key >= tk - lengths  # (B, Tk)
        mask = valid[:, None, None, :]
    if is_causal and tq > 1:
        newest = torch.arange(tq, device=q.device)[:, None] + (tk - tq)
        causal = (torch.arange(tk, device=q.device) <= newest)[None, None]  # (1, 1, Tq, Tk)
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
    position = torch.arange(q.shape[2], device=q.device)
    lengths = lengths.to(q.device).view(-1, 1)
    beyond = position >= lengths if padding_side == "right" else position < q.shape[2] - lengths
    return beyond[:, None, :, None]


def repeat_kv(x: Tensor, num_heads: int) -> Tensor:
    """(B, Hkv, T, Dh) -> (B, H, T, Dh): every key-value head repeated for the query heads that share it."""
    batch, num_kv_heads, length, head_dim = x.shape
    if num_kv_heads == num_heads:
        return x
    groups = num_heads // num_kv_heads
    return x[:, :, None].expand(-1, -1, groups, -1, -1).reshape(batch, num_heads, length, head_dim)


def attention_weights(
    q: Tensor,
    k: Tensor,
    is_causal: bool = False,
    lengths: Tensor | None = None,
    scale: float | None = None,
    *,
    padding_side: str = "right",
) -> Tensor:
    """The softmax itself, fp32 (B, H, Tq, Tk); rows sum to one, or to zero where nothing may be attended to."""
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    scores = factor * (q.float() @ repeat_kv(k, q.shape[1]).float().transpose(-1, -2))
    mask = attention_mask(q, k, is_causal=is_causal, lengths=lengths, padding_side=padding_side)
    if mask is None:
        return scores.softmax(-1)
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1) * mask
    padded = padded_queries(q, k, lengths, padding_side)
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
    return (weights @ repeat_kv(v, q.shape[1]).float()).to(q.dtype)
