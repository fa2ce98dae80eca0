"""Decoding in Triton: one query over a long cache of keys, the keys split among programs.

A decoding step has one query for each head, so a program for each head would leave most of the GPU idle while it reads
the cache. Here several programs read a part of the keys each and leave a partial result with its log-sum-exp; a second
kernel adds the parts up (flash decoding, Dao et al. 2023, https://pytorch.org/blog/flash-decoding/). Query heads that
share keys are the rows of one tile, so that every key is read once.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from q2a_core.kernels.attention_inputs import positive_scale
from q2a_core.kernels.attention_tiles_triton import (
    LOG2E,
    check_runnable,
    load_rows,
    store_rows,
    valid_range,
)
from q2a_core.kernels.attention_triton import attend

BLOCK_N = 64
"""Keys in a tile."""
MAX_SPLITS = 32
FALLBACK_PROCESSORS = 4
"""Multiprocessors counted with where there is no GPU to ask."""


@triton.jit(do_not_specialize=["TK"])
def decode_kernel_parts(
    p_q, p_k, p_v, p_parts, p_lse, p_lengths, scale, H, HKV, TK,
    stride_qb, stride_qh, stride_kb, stride_kh, stride_kt, stride_vb, stride_vh, stride_vt,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_G: tl.constexpr, BLOCK_N: tl.constexpr, SPLITS: tl.constexpr,
    RAGGED: tl.constexpr, LEFT: tl.constexpr,
):  # fmt: skip
    """One part of the keys of one key head: partial outputs [G, D] and base-2 log-sum-exp [G] of its query heads."""
    i_s, i_bkv = tl.program_id(0), tl.program_id(1).to(tl.int64)
    i_b, i_kv = i_bkv // HKV, i_bkv % HKV
    group = H // HKV
    o_g, o_d = tl.arange(0, BLOCK_G), tl.arange(0, BLOCK_D)
    start, stop = valid_range(p_lengths, i_b, TK, RAGGED, LEFT)
    share = tl.cdiv(tl.cdiv(stop - start, SPLITS), BLOCK_N) * BLOCK_N
    begin = start + i_s * share
    stop = tl.minimum(begin + share, stop)
    p_qg = p_q + i_b * stride_qb + i_kv * group * stride_qh
    b_q = load_rows(p_qg, o_g, o_g < group, o_d, stride_qh, D, BLOCK_D, True)
    b_acc = tl.zeros([BLOCK_G, BLOCK_D], tl.float32)
    b_l, b_m = tl.zeros([BLOCK_G], tl.float32), tl.full([BLOCK_G], float("-inf"), tl.float32)
    b_acc, b_l, b_m = attend(
        b_acc, b_l, b_m, b_q, p_k + i_b * stride_kb + i_kv * stride_kh, p_v + i_b * stride_vb + i_kv * stride_vh,
        None, None, i_b, i_kv, begin, stop, o_g, o_d, stop, 0, scale * LOG2E, stride_kt, stride_vt,
        D, BLOCK_D, BLOCK_N, True, False,
    )  # fmt: skip
    b_lse = tl.where(b_l > 0, b_m + tl.log2(tl.where(b_l > 0, b_l, 1.0)), float("-inf"))
    b_o = b_acc / tl.where(b_l > 0, b_l, 1.0)[:, None]
    place = (i_bkv * SPLITS + i_s) * group
    store_rows(p_parts + place * D, b_o, o_g, o_g < group, o_d, D, D)
    tl.store(p_lse + place + o_g, b_lse, mask=o_g < group)


@triton.jit
def decode_kernel_sum(
    p_parts, p_lse, p_o, H, HKV,
    D: tl.constexpr, BLOCK_D: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """The parts of one query head, each weighted by its share of the sum of exponentials."""
    i_bh = tl.program_id(0).to(tl.int64)
    group = H // HKV
    i_bkv, i_g = i_bh // group, i_bh % group
    o_s, o_d = tl.arange(0, SPLITS), tl.arange(0, BLOCK_D)
    rows = (i_bkv * SPLITS + o_s) * group + i_g
    b_lse = tl.load(p_lse + rows)
    b_top = tl.max(b_lse, 0)
    b_w = tl.exp2(b_lse - tl.where(b_top == float("-inf"), 0.0, b_top))
    b_parts = load_rows(p_parts, rows, o_s < SPLITS, o_d, D, D, BLOCK_D, True)
    b_sum = tl.sum(b_w, 0)
    b_o = tl.sum(b_w[:, None] * b_parts, 0) / tl.where(b_sum > 0, b_sum, 1.0)
    tl.store(p_o + i_bh * D + o_d, b_o.to(p_o.dtype.element_ty), mask=o_d < D)


def splits(batch: int, kv_heads: int, keys: int, device: torch.device) -> int:
    """A power of two: enough parts to give every multiprocessor two programs, and a tile of keys to each."""
    processors = FALLBACK_PROCESSORS
    if device.type == "cuda":
        processors = torch.cuda.get_device_properties(device).multi_processor_count
    wanted = max(1, 2 * processors // max(1, batch * kv_heads))
    tiles = max(1, triton.cdiv(keys, BLOCK_N))
    return min(MAX_SPLITS, triton.next_power_of_2(min(wanted, tiles)))


def decode_triton(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    lengths: Tensor | None = None,
    scale: float | None = None,
    *,
    padding_side: str = "right",
) -> Tensor:
    """Attention of one query (B, H, 1, D) over keys and values (B, Hkv, Tk, D) -> (B, H, 1, D), without gradients.

    Raises BackendError where the kernels cannot run.
    """
    check_runnable(q)
    q, k, v = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, v))
    q, factor = positive_scale(q, scale)
    batch, heads, _, width = q.shape
    kv_heads, keys = k.shape[1:3]
    group, parts = heads // kv_heads, splits(batch, kv_heads, keys, q.device)
    block_d = max(16, triton.next_power_of_2(width))
    if lengths is not None:
        lengths = lengths.to(device=q.device, dtype=torch.int32).contiguous()
    partial = torch.empty(batch * kv_heads, parts, group, width, device=q.device)
    lse = torch.empty(batch * kv_heads, parts, group, device=q.device)
    out = torch.empty(q.shape, device=q.device, dtype=q.dtype)
    decode_kernel_parts[parts, batch * kv_heads](
        q, k, v, partial, lse, lengths, factor, heads, kv_heads, keys,
        *q.stride()[:2], *k.stride()[:3], *v.stride()[:3],
        D=width, BLOCK_D=block_d, BLOCK_G=max(16, triton.next_power_of_2(group)), BLOCK_N=BLOCK_N, SPLITS=parts,
        RAGGED=lengths is not None, LEFT=padding_side == "left", num_warps=4,
        num_stages=3 if q.dtype.itemsize == 2 else 1,  # what fits into the fast memory of small GPUs
    )  # fmt: skip
    decode_kernel_sum[(batch * heads,)](
        partial, lse, out, heads, kv_heads, D=width, BLOCK_D=block_d, SPLITS=parts, num_warps=2
    )
    return out
