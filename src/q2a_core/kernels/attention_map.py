"""Attention maps without the quadratic tensor: chosen rows, chosen heads, or pooled to 40 ms tokens.

    attention_map(q, k, rows=...)       (B, heads, rows, Tk)                  what these queries read
    attention_map(q, k, pool=2)         (B, heads, ceil(Tq/2), ceil(Tk/2))    a map of audio tokens

Memory grows with what is asked. On a GPU a kernel computes the weights again from the log-sum-exp that the forward pass
leaves; elsewhere, and where q or k want gradients, plain PyTorch goes through heads and queries in tiles, each pooled
before the next is begun.
"""

from collections.abc import Sequence
from numbers import Integral
from operator import index

import torch
from torch import Tensor

from q2a_core.kernels.attention import learns, resolve_backend
from q2a_core.kernels.attention_inputs import as_number, check_inputs
from q2a_core.kernels.attention_reference import (
    attention_mask,
    padded_queries,
    without_autocast,
    without_padding,
)

SLICE = 128
"""Queries computed at once on a CPU; every pool divides it."""
CELLS = 2**18
"""Weights computed at once on a CPU, where that is more than a slice of one head."""
POOLS = (1, 2, 4, 8, 16, 32)
"""What divides the kernel's tiles."""


def attention_map(
    q: Tensor,
    k: Tensor,
    *,
    rows: Tensor | None = None,
    heads: Sequence[int] | None = None,
    pool: int = 1,
    is_causal: bool = False,
    lengths: Tensor | None = None,
    scale: float | None = None,
    padding_side: str = "right",
    lse: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """Attention weights in fp32: of the queries `rows` (R,), or of all; of the query heads `heads`, or of all.

    With `pool` the weights of `pool` neighbouring keys are added up, and where no rows are chosen those of `pool`
    neighbouring queries are averaged, as far as these see anything: each row sums to one or to zero. `lse`
    (B, H, Tq) in fp32 saves the kernel a pass. Raises ValueError for a head or row that is not there, and for shapes,
    types or lengths that do not fit.
    """
    check_inputs(q, k, None, lengths, padding_side)
    scale = as_number(scale)
    chosen = list(range(q.shape[1])) if heads is None else _numbers(heads)
    places = torch.arange(q.shape[2]) if rows is None else torch.as_tensor(rows)
    _check(q, chosen, places, pool, lse)
    if not k.shape[2]:
        raise ValueError(f"k {tuple(k.shape)} has no keys; expected one or more to make a map of")
    places, pool = places.to(q.device), int(pool)
    query_pool = pool if rows is None else 1
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    resolved = resolve_backend(backend, q.device, q.shape[-1], q.dtype, q.shape[0] * q.shape[1])
    if resolved == "triton" and not learns(q, k):  # the kernel has no gradients
        from q2a_core.kernels.attention_map_triton import map_triton

        with torch.cuda.device_of(q):  # Triton starts kernels on the current device
            return map_triton(
                q,
                k,
                places,
                chosen,
                pool,
                query_pool,
                is_causal,
                lengths,
                factor,
                padding_side,
                lse,
            )
    return _map_in_tiles(
        q,
        k,
        places,
        chosen,
        pool,
        query_pool,
        factor,
        is_causal=is_causal,
        lengths=lengths,
        padding_side=padding_side,
    )


def _map_in_tiles(
    q: Tensor,
    k: Tensor,
    rows: Tensor,
    heads: list[int],
    pool: int,
    query_pool: int,
    factor: float,
    *,
    is_causal: bool,
    lengths: Tensor | None,
    padding_side: str,
) -> Tensor:
    """What `attention_map` says, some heads and SLICE queries at a time."""
    keys = without_padding(k, lengths, padding_side)
    padded = padded_queries(q, k, lengths, padding_side)
    shape = (len(q), len(heads), -(-len(rows) // query_pool), -(-k.shape[2] // pool))
    found = torch.empty(shape, device=q.device)
    numbers = torch.tensor(heads, device=q.device)
    share = q.shape[1] // k.shape[1]
    together = max(1, CELLS // max(1, len(q) * min(SLICE, len(rows)) * k.shape[2]))
    for at in range(0, len(heads), together):
        some = numbers[at : at + together]
        some_keys = keys[:, some // share].float().mT
        for first in range(0, len(rows), SLICE):
            part = rows[first : first + SLICE]
            queries, silent = q[:, some[:, None], part].float(), None
            if padded is not None:
                silent = padded[:, :, part]
                # their weights are zeroed, but not what the backward pass reads
                queries = queries.masked_fill(silent, 0.0)
            with without_autocast(q.device):
                scores = (factor * queries) @ some_keys
            seen = attention_mask(
                q, k, is_causal=is_causal, lengths=lengths, padding_side=padding_side, rows=part
            )
            tile = _pooled(_softmax(scores, seen, silent), query_pool, pool)
            row = first // query_pool
            found[:, at : at + together, row : row + tile.shape[2]] = tile
    return found


def _softmax(scores: Tensor, seen: Tensor | None, padded: Tensor | None) -> Tensor:
    """Weights in the place of the scores, or beside them where somebody wants their gradient.

    What is not `seen` weighs nothing, and `padded` rows are zero.
    """
    lowest = torch.finfo(scores.dtype).min
    if scores.requires_grad:
        weights = scores if seen is None else scores.masked_fill(~seen, lowest)
        weights = weights.softmax(-1) if seen is None else weights.softmax(-1) * seen
        return weights if padded is None else weights.masked_fill(padded, 0.0)
    if seen is not None:
        scores.masked_fill_(~seen, lowest)
    scores.sub_(scores.amax(-1, keepdim=True)).exp_()
    scores.div_(scores.sum(-1, keepdim=True))
    if seen is not None:
        scores.mul_(seen)
    return scores if padded is None else scores.masked_fill_(padded, 0.0)


def _pooled(weights: Tensor, query_pool: int, key_pool: int) -> Tensor:
    """Keys added up, queries that see something averaged."""
    if key_pool > 1:
        weights = _groups(weights, key_pool).sum(-1)
    if query_pool > 1:
        rows = _groups(weights.transpose(-1, -2), query_pool)  # (B, H, keys, groups, pool)
        seeing = (_groups(weights.sum(-1), query_pool) > 0).sum(-1).clamp(min=1)  # (B, H, groups)
        weights = (rows.sum(-1) / seeing[:, :, None]).transpose(-1, -2)
    return weights


def _groups(x: Tensor, size: int) -> Tensor:
    """The last dimension in groups of `size`, the last group filled up with zeros."""
    return torch.nn.functional.pad(x, (0, -x.shape[-1] % size)).unflatten(-1, (-1, size))


def _numbers(heads: Sequence[int]) -> list[int]:
    """Heads as plain numbers; a mask or a fraction would name others than it means."""
    try:
        listed = heads.tolist() if isinstance(heads, Tensor) else list(heads)
        if not any(isinstance(head, bool) for head in listed):
            return [index(head) for head in listed]
    except TypeError:
        pass
    raise ValueError(f"heads is {heads!r}; expected a list of the numbers of query heads")


def _check(q: Tensor, heads: Sequence[int], rows: Tensor, pool: int, lse: Tensor | None) -> None:
    if rows.numel() and rows.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"rows is of {rows.dtype}; expected the numbers of queries")
    if not heads or min(heads) < 0 or max(heads) >= q.shape[1]:
        raise ValueError(f"heads is {list(heads)}; expected numbers from 0 to {q.shape[1] - 1}")
    if rows.ndim != 1 or not len(rows) or int(rows.min()) < 0 or int(rows.max()) >= q.shape[2]:
        raise ValueError(f"rows is {rows.tolist()}; expected numbers from 0 to {q.shape[2] - 1}")
    if not isinstance(pool, Integral) or pool not in POOLS:
        raise ValueError(f"pool is {pool}; expected one of {', '.join(map(str, POOLS))}")
    if lse is None:
        return
    wanted = (tuple(q.shape[:3]), torch.float32, q.device)
    if not isinstance(lse, Tensor) or (tuple(lse.shape), lse.dtype, lse.device) != wanted:
        found = type(lse).__name__
        if isinstance(lse, Tensor):
            found = f"{tuple(lse.shape)} of {lse.dtype} on {lse.device}"
        raise ValueError(
            f"lse is {found}; expected the log-sum-exp of every query, {wanted[0]} of torch.float32 on {q.device}"
        )
