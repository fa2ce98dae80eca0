"""Flash attention in Triton, forward and backward: softmax(q k^T) v without ever storing q k^T.

The algorithm (Dao 2023, arXiv 2307.08691): a program owns BLOCK_M queries and walks over the keys in tiles of BLOCK_N.
It keeps, for each query, the largest score so far `b_m`, the sum of exponentials `b_l` and the weighted sum of values
`b_acc`; whenever a larger score appears, the older sums are scaled down (online softmax, Milakov and Gimelshein 2018,
arXiv 1805.02867). What is kept for the backward pass is one number for each query, the log-sum-exp; from it any weight
can be computed again: w = exp(score - lse).

What differs from the paper
- Sequences of a batch have their own lengths, padded on the right or left. Tiles of padding are never visited, and
  what lies there, NaN included, never matters.
- Scores are in base 2, because the hardware has exp2: scale times log2(e) is multiplied in once.
- Tiles that need no mask and tiles that do are two loops; only the edge of the diagonal and the last keys pay for it.
- The gradients of keys and values are summed over the query heads that share them by one program: no atomics, so the
  same inputs give the same bits.

Limits: head widths 16 to 128, no dropout, no bias, lengths only at one end. Interpreted on a CPU (TRITON_INTERPRET=1
before this file is imported) fp32 and fp16 only: Triton's interpreter computes wrong numbers for bfloat16.

Letters: p_ pointers, i_ indices of this program, o_ offsets, m_ masks, b_ blocks in fast memory; M queries, N keys.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton import knobs

from q2a_core.errors import BackendError

LOG2E = tl.constexpr(1.4426950408889634)
LN2 = tl.constexpr(0.6931471805599453)
MIN_WIDTH, MAX_WIDTH = 16, 128


@triton.jit
def _valid(p_lengths, i_b, T, RAGGED: tl.constexpr, LEFT: tl.constexpr):
    """First valid position of sequence i_b, and the one behind its last."""
    start, stop = 0, T
    if RAGGED:
        length = tl.minimum(tl.load(p_lengths + i_b).to(tl.int32), T)
        if LEFT:
            start = T - length
        else:
            stop = length
    return start, stop


@triton.jit
def _key_range(start, stop, first, last, shift, BLOCK_N: tl.constexpr, CAUSAL: tl.constexpr):
    """Keys that queries first..last may see: begin, end of the whole tiles that all of them see, end."""
    end, seen_by_all = stop, stop
    if CAUSAL:
        end = tl.minimum(stop, last + shift + 1)
        seen_by_all = tl.minimum(stop, first + shift + 1)
    whole = start + tl.maximum(seen_by_all - start, 0) // BLOCK_N * BLOCK_N
    return start, whole, tl.maximum(end, whole)


@triton.jit
def _rows(p, o, m, o_d, stride, D: tl.constexpr, BLOCK_D: tl.constexpr):
    """Rows `o` of a matrix as a block [rows, BLOCK_D]; zero where `m` is false and behind the head's width."""
    pointers = p + o.to(tl.int64)[:, None] * stride + o_d[None, :]
    if D == BLOCK_D:
        return tl.load(pointers, mask=m[:, None], other=0.0)
    return tl.load(pointers, mask=m[:, None] & (o_d < D)[None, :], other=0.0)


@triton.jit
def _store(p, b, o, m, o_d, stride, D: tl.constexpr):
    """Write a block [rows, BLOCK_D] to the rows `o` for which `m` holds."""
    pointers = p + o.to(tl.int64)[:, None] * stride + o_d[None, :]
    tl.store(pointers, b.to(p.dtype.element_ty), mask=m[:, None] & (o_d < D)[None, :])


@triton.jit
def _scores(b_q, b_k, o_m, o_n, stop, shift, scale, MASKED: tl.constexpr, CAUSAL: tl.constexpr):
    """Scores in base 2 [BM, BN]; minus infinity where a query may not look."""
    b_s = tl.dot(b_q, tl.trans(b_k), input_precision="ieee") * scale
    if MASKED:
        m_s = (o_n < stop)[None, :]
        if CAUSAL:
            m_s = m_s & (o_n[None, :] <= o_m[:, None] + shift)
        b_s = tl.where(m_s, b_s, float("-inf"))
    return b_s


@triton.jit
def _attend(
    b_acc, b_l, b_m, b_q, p_k, p_v, begin, end, o_m, o_d, stop, shift, scale, stride_k, stride_v,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr, MASKED: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """Walk over the keys begin..end in tiles, with the online softmax."""
    for first in range(begin, end, BLOCK_N):
        o_n = first + tl.arange(0, BLOCK_N)
        b_k = _rows(p_k, o_n, o_n < stop, o_d, stride_k, D, BLOCK_D)  # [BN, BD]
        b_s = _scores(b_q, b_k, o_m, o_n, stop, shift, scale, MASKED, CAUSAL)  # [BM, BN]
        b_new = tl.maximum(b_m, tl.max(b_s, 1))
        # a query that has seen no key yet has no largest score: subtract 0, and exp2 gives the 0 that it should
        b_top = tl.where(b_new == float("-inf"), 0.0, b_new) if MASKED else b_new
        b_w = tl.exp2(b_s - b_top[:, None])
        b_shrink = tl.exp2(b_m - b_top)
        b_v = _rows(p_v, o_n, o_n < stop, o_d, stride_v, D, BLOCK_D)
        b_l = b_l * b_shrink + tl.sum(b_w, 1)
        b_acc = tl.dot(b_w.to(b_v.dtype), b_v, b_acc * b_shrink[:, None], input_precision="ieee")
        b_m = b_new
    return b_acc, b_l, b_m


@triton.jit
def attention_fwd_kernel(
    p_q, p_k, p_v, p_o, p_lse, p_lengths, scale, H, HKV, TQ, TK,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt, stride_vb, stride_vh, stride_vt,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    CAUSAL: tl.constexpr, RAGGED: tl.constexpr, LEFT: tl.constexpr, SELF: tl.constexpr,
):  # fmt: skip
    """One tile of queries of one head: output [BM, D] and log-sum-exp [BM]."""
    i_m, i_bh = tl.program_id(0), tl.program_id(1).to(tl.int64)
    i_b, i_h = i_bh // H, i_bh % H
    i_kv = i_h // (H // HKV)
    o_m, o_d = i_m * BLOCK_M + tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_D)
    start, stop = _valid(p_lengths, i_b, TK, RAGGED, LEFT)
    m_q = o_m < TQ
    begin, whole, end = _key_range(
        start, stop, i_m * BLOCK_M, i_m * BLOCK_M + BLOCK_M - 1, TK - TQ, BLOCK_N, CAUSAL
    )
    if SELF and RAGGED:  # queries of padding are padding too
        m_q = (o_m >= start) & (o_m < stop)
        padding = (i_m * BLOCK_M >= stop) | (i_m * BLOCK_M + BLOCK_M <= start)
        whole, end = tl.where(padding, begin, whole), tl.where(padding, begin, end)
    p_k += i_b * stride_kb + i_kv * stride_kh
    p_v += i_b * stride_vb + i_kv * stride_vh
    b_q = _rows(p_q + i_b * stride_qb + i_h * stride_qh, o_m, m_q, o_d, stride_qt, D, BLOCK_D)
    b_acc = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    b_l, b_m = tl.zeros([BLOCK_M], tl.float32), tl.full([BLOCK_M], float("-inf"), tl.float32)
    b_acc, b_l, b_m = _attend(
        b_acc, b_l, b_m, b_q, p_k, p_v, begin, whole, o_m, o_d, stop, TK - TQ, scale * LOG2E, stride_kt, stride_vt,
        D, BLOCK_D, BLOCK_N, False, CAUSAL,
    )  # fmt: skip
    b_acc, b_l, b_m = _attend(
        b_acc, b_l, b_m, b_q, p_k, p_v, whole, end, o_m, o_d, stop, TK - TQ, scale * LOG2E, stride_kt, stride_vt,
        D, BLOCK_D, BLOCK_N, True, CAUSAL,
    )  # fmt: skip
    m_seen = m_q & (b_l > 0)
    b_l = tl.where(m_seen, b_l, 1.0)
    b_o = tl.where(m_seen[:, None], b_acc / b_l[:, None], 0.0)
    b_lse = tl.where(m_seen, (b_m + tl.log2(b_l)) * LN2, float("-inf"))
    _store(p_o + i_bh * TQ * D, b_o, o_m, o_m < TQ, o_d, D, D)
    tl.store(p_lse + i_bh * TQ + o_m, b_lse, mask=o_m < TQ)


@triton.jit
def attention_bwd_kernel_delta(
    p_o, p_do, p_delta, TQ, D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr
):
    """delta = sum over the width of o times its gradient [BM], which the softmax's derivative subtracts."""
    i_m, i_bh = tl.program_id(0), tl.program_id(1).to(tl.int64)
    o_m, o_d = i_m * BLOCK_M + tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_D)
    b_o = _rows(p_o + i_bh * TQ * D, o_m, o_m < TQ, o_d, D, D, BLOCK_D).to(tl.float32)
    b_do = _rows(p_do + i_bh * TQ * D, o_m, o_m < TQ, o_d, D, D, BLOCK_D).to(tl.float32)
    tl.store(p_delta + i_bh * TQ + o_m, tl.sum(b_o * b_do, 1), mask=o_m < TQ)


@triton.jit
def _statistics(p_lse, p_delta, o_m, m_q):
    """Log-sum-exp in base 2 and delta of some queries; an infinite one makes the weights of what saw nothing zero."""
    b_lse = tl.load(p_lse + o_m, mask=m_q, other=float("-inf")) * LOG2E
    b_lse = tl.where(b_lse == float("-inf"), float("inf"), b_lse)
    return b_lse, tl.load(p_delta + o_m, mask=m_q, other=0.0)


@triton.jit
def _dkdv(
    b_dk, b_dv, b_k, b_v, p_q, p_do, p_lse, p_delta, begin, end, o_n, o_d, q_stop, shift, scale, stride_q,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    """Walk over the queries begin..end of one head in tiles, for one tile of keys."""
    for first in range(begin, end, BLOCK_M):
        o_m = first + tl.arange(0, BLOCK_M)
        m_q = o_m < q_stop
        b_q = _rows(p_q, o_m, m_q, o_d, stride_q, D, BLOCK_D)  # [BM, BD]
        b_do = _rows(p_do, o_m, m_q, o_d, D, D, BLOCK_D)
        b_lse, b_delta = _statistics(p_lse, p_delta, o_m, m_q)
        b_s = tl.dot(b_k, tl.trans(b_q), input_precision="ieee") * scale  # [BN, BM]
        b_w = tl.exp2(b_s - b_lse[None, :])
        if MASKED:
            b_w = tl.where(o_n[:, None] <= o_m[None, :] + shift, b_w, 0.0)
        b_dv = tl.dot(b_w.to(b_do.dtype), b_do, b_dv, input_precision="ieee")
        b_dw = tl.dot(b_v, tl.trans(b_do), input_precision="ieee")
        b_ds = b_w * (b_dw - b_delta[None, :])
        b_dk = tl.dot(b_ds.to(b_q.dtype), b_q, b_dk, input_precision="ieee")
    return b_dk, b_dv


@triton.jit
def attention_bwd_kernel_dkdv(
    p_q, p_k, p_v, p_do, p_dk, p_dv, p_lse, p_delta, p_lengths, scale, H, HKV, TQ, TK,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt, stride_vb, stride_vh, stride_vt,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    CAUSAL: tl.constexpr, RAGGED: tl.constexpr, LEFT: tl.constexpr, SELF: tl.constexpr,
):  # fmt: skip
    """Gradients of one tile of keys and values, from all queries of all heads that share them."""
    i_n, i_bkv = tl.program_id(0), tl.program_id(1).to(tl.int64)
    i_b, i_kv = i_bkv // HKV, i_bkv % HKV
    o_n, o_d = i_n * BLOCK_N + tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_D)
    start, stop = _valid(p_lengths, i_b, TK, RAGGED, LEFT)
    m_k = (o_n >= start) & (o_n < stop)
    b_k = _rows(p_k + i_b * stride_kb + i_kv * stride_kh, o_n, m_k, o_d, stride_kt, D, BLOCK_D)
    b_v = _rows(p_v + i_b * stride_vb + i_kv * stride_vh, o_n, m_k, o_d, stride_vt, D, BLOCK_D)
    b_dk = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    b_dv = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    q_start, q_stop = 0, TQ
    if SELF and RAGGED:
        q_start, q_stop = start, stop
    diagonal, clear = q_start, q_start  # tiles from `diagonal` on need a mask, from `clear` on none
    if CAUSAL:
        # queries before `diagonal` see none of these keys; from `clear` on they see all of them
        diagonal = tl.maximum(q_start, i_n * BLOCK_N - (TK - TQ))
        reach = tl.maximum(i_n * BLOCK_N + BLOCK_N - 1 - (TK - TQ) - diagonal, 0)
        clear = diagonal + (reach + BLOCK_M - 1) // BLOCK_M * BLOCK_M
    padding = (i_n * BLOCK_N >= stop) | (i_n * BLOCK_N + BLOCK_N <= start)
    q_stop = tl.where(padding, diagonal, q_stop)
    for group in range(0, H // HKV):
        i_h = i_kv * (H // HKV) + group
        i_bh = i_b * H + i_h
        p_qh, p_doh = p_q + i_b * stride_qb + i_h * stride_qh, p_do + i_bh * TQ * D
        b_dk, b_dv = _dkdv(
            b_dk, b_dv, b_k, b_v, p_qh, p_doh, p_lse + i_bh * TQ, p_delta + i_bh * TQ,
            diagonal, tl.minimum(clear, q_stop), o_n, o_d, q_stop, TK - TQ, scale * LOG2E, stride_qt,
            D, BLOCK_D, BLOCK_M, True,
        )  # fmt: skip
        b_dk, b_dv = _dkdv(
            b_dk, b_dv, b_k, b_v, p_qh, p_doh, p_lse + i_bh * TQ, p_delta + i_bh * TQ,
            clear, q_stop, o_n, o_d, q_stop, TK - TQ, scale * LOG2E, stride_qt,
            D, BLOCK_D, BLOCK_M, False,
        )  # fmt: skip
    b_dk = tl.where(m_k[:, None], b_dk * scale, 0.0)
    b_dv = tl.where(m_k[:, None], b_dv, 0.0)
    _store(p_dk + i_bkv * TK * D, b_dk, o_n, o_n < TK, o_d, D, D)
    _store(p_dv + i_bkv * TK * D, b_dv, o_n, o_n < TK, o_d, D, D)


@triton.jit
def _dq(
    b_dq, b_q, b_do, b_lse, b_delta, p_k, p_v, begin, end, o_m, o_d, stop, shift, scale, stride_k, stride_v,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr, MASKED: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """Walk over the keys begin..end in tiles, for one tile of queries."""
    for first in range(begin, end, BLOCK_N):
        o_n = first + tl.arange(0, BLOCK_N)
        b_k = _rows(p_k, o_n, o_n < stop, o_d, stride_k, D, BLOCK_D)  # [BN, BD]
        b_v = _rows(p_v, o_n, o_n < stop, o_d, stride_v, D, BLOCK_D)
        b_s = _scores(b_q, b_k, o_m, o_n, stop, shift, scale, MASKED, CAUSAL)
        b_w = tl.exp2(b_s - b_lse[:, None])  # [BM, BN]
        b_dw = tl.dot(b_do, tl.trans(b_v), input_precision="ieee")
        b_ds = b_w * (b_dw - b_delta[:, None])
        b_dq = tl.dot(b_ds.to(b_k.dtype), b_k, b_dq, input_precision="ieee")
    return b_dq


@triton.jit
def attention_bwd_kernel_dq(
    p_q, p_k, p_v, p_do, p_dq, p_lse, p_delta, p_lengths, scale, H, HKV, TQ, TK,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt, stride_vb, stride_vh, stride_vt,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    CAUSAL: tl.constexpr, RAGGED: tl.constexpr, LEFT: tl.constexpr, SELF: tl.constexpr,
):  # fmt: skip
    """Gradient of one tile of queries of one head; the same walk as the forward pass."""
    i_m, i_bh = tl.program_id(0), tl.program_id(1).to(tl.int64)
    i_b, i_h = i_bh // H, i_bh % H
    i_kv = i_h // (H // HKV)
    o_m, o_d = i_m * BLOCK_M + tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_D)
    start, stop = _valid(p_lengths, i_b, TK, RAGGED, LEFT)
    m_q = o_m < TQ
    begin, whole, end = _key_range(
        start, stop, i_m * BLOCK_M, i_m * BLOCK_M + BLOCK_M - 1, TK - TQ, BLOCK_N, CAUSAL
    )
    if SELF and RAGGED:
        m_q = (o_m >= start) & (o_m < stop)
        padding = (i_m * BLOCK_M >= stop) | (i_m * BLOCK_M + BLOCK_M <= start)
        whole, end = tl.where(padding, begin, whole), tl.where(padding, begin, end)
    p_k += i_b * stride_kb + i_kv * stride_kh
    p_v += i_b * stride_vb + i_kv * stride_vh
    b_q = _rows(p_q + i_b * stride_qb + i_h * stride_qh, o_m, m_q, o_d, stride_qt, D, BLOCK_D)
    b_do = _rows(p_do + i_bh * TQ * D, o_m, m_q, o_d, D, D, BLOCK_D)
    b_lse, b_delta = _statistics(p_lse + i_bh * TQ, p_delta + i_bh * TQ, o_m, m_q)
    b_dq = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    b_dq = _dq(
        b_dq, b_q, b_do, b_lse, b_delta, p_k, p_v, begin, whole, o_m, o_d, stop, TK - TQ, scale * LOG2E, stride_kt,
        stride_vt, D, BLOCK_D, BLOCK_N, False, CAUSAL,
    )  # fmt: skip
    b_dq = _dq(
        b_dq, b_q, b_do, b_lse, b_delta, p_k, p_v, whole, end, o_m, o_d, stop, TK - TQ, scale * LOG2E, stride_kt,
        stride_vt, D, BLOCK_D, BLOCK_N, True, CAUSAL,
    )  # fmt: skip
    b_dq = tl.where(m_q[:, None], b_dq * scale, 0.0)
    _store(p_dq + i_bh * TQ * D, b_dq, o_m, o_m < TQ, o_d, D, D)


def blocks(head_dim: int, dtype: torch.dtype, *, backward: bool) -> dict[str, int]:
    """Tile sizes and warps: what fits into fast memory at this width and type."""
    if dtype == torch.float32:  # four bytes, and no tensor cores to feed
        return {"BLOCK_M": 32, "BLOCK_N": 32, "num_warps": 4, "num_stages": 2}
    if backward:
        return {"BLOCK_M": 64, "BLOCK_N": 64, "num_warps": 4, "num_stages": 2}
    return {"BLOCK_M": 128, "BLOCK_N": 64, "num_warps": 4 if head_dim <= 64 else 8, "num_stages": 3}


class Layout:
    """What all kernels are told about one call: sizes, strides and which rules hold."""

    def __init__(
        self, q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None, is_causal: bool, left: bool
    ):
        self.batch, self.heads, self.queries, self.width = q.shape
        self.kv_heads, self.keys = k.shape[1:3]
        self.sizes = (self.heads, self.kv_heads, self.queries, self.keys)
        self.strides = (*q.stride()[:3], *k.stride()[:3], *v.stride()[:3])
        self.rules = {
            "D": self.width,
            "BLOCK_D": max(16, triton.next_power_of_2(self.width)),
            "CAUSAL": is_causal,
            "RAGGED": lengths is not None,
            "LEFT": left,
            "SELF": self.queries == self.keys,
        }

    def grid(self, length: int, block: int, heads: int) -> tuple[int, int]:
        """One program for each tile of each head."""
        return triton.cdiv(length, block), self.batch * heads


def run_forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    is_causal: bool,
    lengths: Tensor | None,
    scale: float,
    left: bool,
) -> tuple[Tensor, Tensor]:
    """Output (B, H, Tq, D) and log-sum-exp (B, H, Tq), fp32; minus infinity where a query saw nothing."""
    layout = Layout(q, k, v, lengths, is_causal, left)
    out = torch.empty(q.shape, device=q.device, dtype=q.dtype)
    lse = torch.empty(q.shape[:3], device=q.device, dtype=torch.float32)
    tiles = blocks(layout.width, q.dtype, backward=False)
    attention_fwd_kernel[layout.grid(layout.queries, tiles["BLOCK_M"], layout.heads)](
        q, k, v, out, lse, lengths, scale, *layout.sizes, *layout.strides, **layout.rules, **tiles
    )
    return out, lse


def run_backward(
    saved: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    grad: Tensor,
    is_causal: bool,
    lengths: Tensor | None,
    scale: float,
    left: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of q, k and v, from what the forward pass kept: q, k, v, output and log-sum-exp."""
    q, k, v, out, lse = saved
    layout = Layout(q, k, v, lengths, is_causal, left)
    dq, dk, dv = (torch.empty(x.shape, device=x.device, dtype=x.dtype) for x in (q, k, v))
    delta = torch.empty_like(lse)
    tiles = blocks(layout.width, q.dtype, backward=True)
    attention_bwd_kernel_delta[layout.grid(layout.queries, tiles["BLOCK_M"], layout.heads)](
        out, grad, delta, layout.queries,
        D=layout.width, BLOCK_D=layout.rules["BLOCK_D"], BLOCK_M=tiles["BLOCK_M"],
    )  # fmt: skip
    attention_bwd_kernel_dkdv[layout.grid(layout.keys, tiles["BLOCK_N"], layout.kv_heads)](
        q, k, v, grad, dk, dv, lse, delta, lengths, scale,
        *layout.sizes, *layout.strides, **layout.rules, **tiles,
    )  # fmt: skip
    attention_bwd_kernel_dq[layout.grid(layout.queries, tiles["BLOCK_M"], layout.heads)](
        q, k, v, grad, dq, lse, delta, lengths, scale,
        *layout.sizes, *layout.strides, **layout.rules, **tiles,
    )  # fmt: skip
    return dq, dk, dv


class FlashAttention(torch.autograd.Function):
    """Forward and backward as one differentiable operation."""

    @staticmethod
    def forward(ctx, q, k, v, is_causal, lengths, scale, left):
        """Returns the output and the log-sum-exp; the latter carries no gradient."""
        out, lse = run_forward(q, k, v, is_causal, lengths, scale, left)
        ctx.save_for_backward(q, k, v, out, lse, lengths)
        ctx.options = (is_causal, scale, left)
        ctx.mark_non_differentiable(lse)
        return out, lse

    @staticmethod
    def backward(ctx, *grad_outputs):
        """Gradients of q, k and v."""
        grad, _ = grad_outputs
        *saved, lengths = ctx.saved_tensors
        is_causal, scale, left = ctx.options
        found = run_backward(tuple(saved), grad.contiguous(), is_causal, lengths, scale, left)
        return *found, None, None, None, None


def check(q: Tensor) -> None:
    """Raises BackendError if these kernels cannot run on such a tensor here."""
    interpreted = knobs.runtime.interpret
    if not interpreted and not q.is_cuda:
        raise BackendError(
            f"the triton backend needs a GPU, the tensors are on {q.device}; choose reference or sdpa, "
            "or set TRITON_INTERPRET=1 before the start to have tiny cases simulated"
        )
    if interpreted and q.dtype == torch.bfloat16:
        raise BackendError(
            "Triton's interpreter computes wrong numbers for bfloat16; use float32 or float16"
        )
    if q.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise BackendError(
            f"the triton backend computes in float32, float16 and bfloat16; found {q.dtype}"
        )
    if not MIN_WIDTH <= q.shape[-1] <= MAX_WIDTH:
        raise BackendError(
            f"the triton backend takes heads of width {MIN_WIDTH} to {MAX_WIDTH}; found {q.shape[-1]}, "
            "choose sdpa"
        )


def attention_triton(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    is_causal: bool = False,
    lengths: Tensor | None = None,
    scale: float | None = None,
    *,
    padding_side: str = "right",
) -> tuple[Tensor, Tensor]:
    """Attention (B, H, Tq, D) as attention_reference.py defines it, and its log-sum-exp (B, H, Tq) in fp32.

    Raises BackendError where the kernels cannot run.
    """
    check(q)
    q, k, v = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, v))
    if lengths is not None:
        lengths = lengths.to(device=q.device, dtype=torch.int32).contiguous()
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    return FlashAttention.apply(q, k, v, is_causal, lengths, factor, padding_side == "left")
