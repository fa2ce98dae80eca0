"""The gradients of flash attention in Triton: weights are made again from the log-sum-exp, tile by tile.

Two walks (Dao 2023, arXiv 2307.08691, algorithm 2, cut in two): one program for each tile of keys adds up the gradients
of keys and values over all queries, another for each tile of queries that of the queries. The scores are computed in
both, and nothing is added across programs: no atomics, so the same inputs give the same bits.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from q2a_core.kernels.attention_tiles_triton import (
    LENGTHS,
    LOG2E,
    Layout,
    fast_memory,
    key_range,
    load_rows,
    load_statistics,
    query_tile,
    store_rows,
    tile_scores,
    tile_sizes,
    valid_range,
)


@triton.jit(do_not_specialize=["TQ"])
def attention_bwd_kernel_delta(
    p_o, p_do, p_delta, TQ, D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr
):
    """delta = sum over the width of o times its gradient [BM], which the softmax's derivative subtracts."""
    i_m, i_bh = tl.program_id(0), tl.program_id(1).to(tl.int64)
    o_m, o_d = i_m * BLOCK_M + tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_D)
    b_o = load_rows(p_o + i_bh * TQ * D, o_m, o_m < TQ, o_d, D, D, BLOCK_D, True).to(tl.float32)
    b_do = load_rows(p_do + i_bh * TQ * D, o_m, o_m < TQ, o_d, D, D, BLOCK_D, True).to(tl.float32)
    tl.store(p_delta + i_bh * TQ + o_m, tl.sum(b_o * b_do, 1), mask=o_m < TQ)


@triton.jit
def _dkdv(
    b_dk, b_dv, b_k, b_v, p_q, p_do, p_lse, p_delta, begin, end, o_n, o_d, q_stop, shift, scale, stride_q,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, MASKED: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """Walk over the queries begin..end of one head in tiles, for one tile of keys."""
    for first in range(begin, end, BLOCK_M):
        o_m = first + tl.arange(0, BLOCK_M)
        m_q = o_m < q_stop
        b_q = load_rows(p_q, o_m, m_q, o_d, stride_q, D, BLOCK_D, MASKED)  # [BM, BD]
        b_do = load_rows(p_do, o_m, m_q, o_d, D, D, BLOCK_D, MASKED)
        b_lse, b_delta = load_statistics(p_lse, p_delta, o_m, m_q)
        b_s = tl.dot(b_k, tl.trans(b_q), input_precision="ieee")  # [BN, BM]
        b_w = tl.exp2(b_s * scale - b_lse[None, :])
        if MASKED and CAUSAL:
            b_w = tl.where(o_n[:, None] <= o_m[None, :] + shift, b_w, 0.0)
        b_dv = tl.dot(b_w.to(b_do.dtype), b_do, b_dv, input_precision="ieee")
        b_dw = tl.dot(b_v, tl.trans(b_do), input_precision="ieee")
        b_ds = b_w * (b_dw - b_delta[None, :])
        b_dk = tl.dot(b_ds.to(b_q.dtype), b_q, b_dk, input_precision="ieee")
    return b_dk, b_dv


@triton.jit(do_not_specialize=LENGTHS)
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
    start, stop = valid_range(p_lengths, i_b, TK, RAGGED, LEFT)
    m_k = (o_n >= start) & (o_n < stop)
    b_k = load_rows(
        p_k + i_b * stride_kb + i_kv * stride_kh, o_n, m_k, o_d, stride_kt, D, BLOCK_D, True
    )
    b_v = load_rows(
        p_v + i_b * stride_vb + i_kv * stride_vh, o_n, m_k, o_d, stride_vt, D, BLOCK_D, True
    )
    b_dk = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    b_dv = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    q_start, q_stop = 0, TQ
    if SELF and RAGGED:
        q_start, q_stop = start, stop
    # tiles from `diagonal` on need a mask, from `clear` to `tail` none
    diagonal, clear = q_start, q_start
    if CAUSAL:
        # queries before `diagonal` see none of these keys; from `clear` on they see all of them
        diagonal = tl.maximum(q_start, i_n * BLOCK_N - (TK - TQ))
        reach = tl.maximum(i_n * BLOCK_N + BLOCK_N - 1 - (TK - TQ) - diagonal, 0)
        clear = diagonal + (reach + BLOCK_M - 1) // BLOCK_M * BLOCK_M
    padding = (i_n * BLOCK_N >= stop) | (i_n * BLOCK_N + BLOCK_N <= start)
    q_stop = tl.where(padding, diagonal, q_stop)
    clear = tl.minimum(clear, q_stop)
    tail = clear + (q_stop - clear) // BLOCK_M * BLOCK_M
    for group in range(0, H // HKV):
        i_h = i_kv * (H // HKV) + group
        i_bh = i_b * H + i_h
        p_qh, p_doh = p_q + i_b * stride_qb + i_h * stride_qh, p_do + i_bh * TQ * D
        b_dk, b_dv = _dkdv(
            b_dk, b_dv, b_k, b_v, p_qh, p_doh, p_lse + i_bh * TQ, p_delta + i_bh * TQ,
            diagonal, clear, o_n, o_d, q_stop, TK - TQ, scale * LOG2E, stride_qt, D, BLOCK_D, BLOCK_M, True, CAUSAL,
        )  # fmt: skip
        b_dk, b_dv = _dkdv(
            b_dk, b_dv, b_k, b_v, p_qh, p_doh, p_lse + i_bh * TQ, p_delta + i_bh * TQ,
            clear, tail, o_n, o_d, q_stop, TK - TQ, scale * LOG2E, stride_qt, D, BLOCK_D, BLOCK_M, False, CAUSAL,
        )  # fmt: skip
        b_dk, b_dv = _dkdv(
            b_dk, b_dv, b_k, b_v, p_qh, p_doh, p_lse + i_bh * TQ, p_delta + i_bh * TQ,
            tail, q_stop, o_n, o_d, q_stop, TK - TQ, scale * LOG2E, stride_qt, D, BLOCK_D, BLOCK_M, True, CAUSAL,
        )  # fmt: skip
    b_dk = tl.where(m_k[:, None], b_dk * scale, 0.0)
    b_dv = tl.where(m_k[:, None], b_dv, 0.0)
    store_rows(p_dk + i_bkv * TK * D, b_dk, o_n, o_n < TK, o_d, D, D)
    store_rows(p_dv + i_bkv * TK * D, b_dv, o_n, o_n < TK, o_d, D, D)


@triton.jit
def _dq(
    b_dq, b_q, b_do, b_lse, b_delta, p_k, p_v, begin, end, o_m, o_d, stop, shift, scale, stride_k, stride_v,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr, MASKED: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """Walk over the keys begin..end in tiles, for one tile of queries."""
    for first in range(begin, end, BLOCK_N):
        o_n = first + tl.arange(0, BLOCK_N)
        b_k = load_rows(p_k, o_n, o_n < stop, o_d, stride_k, D, BLOCK_D, MASKED)  # [BN, BD]
        b_v = load_rows(p_v, o_n, o_n < stop, o_d, stride_v, D, BLOCK_D, MASKED)
        b_s = tile_scores(b_q, b_k, o_m, o_n, stop, shift, MASKED, CAUSAL)
        b_w = tl.exp2(b_s * scale - b_lse[:, None])  # [BM, BN]
        b_dw = tl.dot(b_do, tl.trans(b_v), input_precision="ieee")
        b_ds = b_w * (b_dw - b_delta[:, None])
        b_dq = tl.dot(b_ds.to(b_k.dtype), b_k, b_dq, input_precision="ieee")
    return b_dq


@triton.jit(do_not_specialize=LENGTHS)
def attention_bwd_kernel_dq(
    p_q, p_k, p_v, p_do, p_dq, p_lse, p_delta, p_lengths, scale, H, HKV, TQ, TK,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt, stride_vb, stride_vh, stride_vt,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    CAUSAL: tl.constexpr, RAGGED: tl.constexpr, LEFT: tl.constexpr, SELF: tl.constexpr,
):  # fmt: skip
    """Gradient of one tile of queries of one head; the same walk as the forward pass."""
    i_m, i_bh = query_tile(CAUSAL), tl.program_id(1).to(tl.int64)
    i_b, i_h = i_bh // H, i_bh % H
    i_kv = i_h // (H // HKV)
    o_m, o_d = i_m * BLOCK_M + tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_D)
    start, stop = valid_range(p_lengths, i_b, TK, RAGGED, LEFT)
    m_q = o_m < TQ
    begin, whole, end = key_range(
        start, stop, i_m * BLOCK_M, i_m * BLOCK_M + BLOCK_M - 1, TK - TQ, BLOCK_N, CAUSAL
    )
    if SELF and RAGGED:
        m_q = (o_m >= start) & (o_m < stop)
        padding = (i_m * BLOCK_M >= stop) | (i_m * BLOCK_M + BLOCK_M <= start)
        whole, end = tl.where(padding, begin, whole), tl.where(padding, begin, end)
    p_k += i_b * stride_kb + i_kv * stride_kh
    p_v += i_b * stride_vb + i_kv * stride_vh
    b_q = load_rows(
        p_q + i_b * stride_qb + i_h * stride_qh, o_m, m_q, o_d, stride_qt, D, BLOCK_D, True
    )
    b_do = load_rows(p_do + i_bh * TQ * D, o_m, m_q, o_d, D, D, BLOCK_D, True)
    b_lse, b_delta = load_statistics(p_lse + i_bh * TQ, p_delta + i_bh * TQ, o_m, m_q)
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
    store_rows(p_dq + i_bh * TQ * D, b_dq, o_m, o_m < TQ, o_d, D, D)


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
    room = fast_memory(q.device)
    by_keys, by_queries = (
        tile_sizes(part, layout.width, q.dtype, room=room) for part in ("dkdv", "dq")
    )
    over_queries = layout.grid(layout.queries, by_queries["BLOCK_M"], layout.heads)
    shared = (lse, delta, lengths, scale, *layout.sizes, *layout.strides)
    attention_bwd_kernel_delta[over_queries](
        out, grad, delta, layout.queries,
        D=layout.width, BLOCK_D=layout.rules["BLOCK_D"], BLOCK_M=by_queries["BLOCK_M"],
    )  # fmt: skip
    attention_bwd_kernel_dkdv[layout.grid(layout.keys, by_keys["BLOCK_N"], layout.kv_heads)](
        q, k, v, grad, dk, dv, *shared, **layout.rules, **by_keys
    )
    attention_bwd_kernel_dq[over_queries](q, k, v, grad, dq, *shared, **layout.rules, **by_queries)
    return dq, dk, dv
