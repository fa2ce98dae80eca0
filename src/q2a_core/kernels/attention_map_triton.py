"""Attention maps in Triton: weights from the log-sum-exp, tile by tile, pooled before they leave fast memory."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from q2a_core.kernels.attention_inputs import positive_scale
from q2a_core.kernels.attention_tiles_triton import (
    LOG2E,
    check_runnable,
    load_rows,
    load_statistics,
    tile_scores,
    valid_range,
)
from q2a_core.kernels.attention_triton import run_forward

BLOCK_M, BLOCK_N = 32, 64


@triton.jit(do_not_specialize=["TQ", "TK", "ROWS", "MAP_ROWS", "MAP_KEYS"])
def map_kernel(
    p_q, p_k, p_lse, p_rows, p_heads, p_lengths, p_map, scale, H, HKV, TQ, TK, ROWS, MAP_ROWS, MAP_KEYS, HEADS,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    QUERY_POOL: tl.constexpr, KEY_POOL: tl.constexpr,
    CAUSAL: tl.constexpr, RAGGED: tl.constexpr, LEFT: tl.constexpr, SELF: tl.constexpr,
):  # fmt: skip
    """One tile of a map of one head: [BM / QUERY_POOL, BN / KEY_POOL]."""
    i_m, i_n, i_bc = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    i_b, i_c = i_bc // HEADS, i_bc % HEADS
    i_h = tl.load(p_heads + i_c).to(tl.int64)
    o_r, o_d = i_m * BLOCK_M + tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_D)
    o_n = i_n * BLOCK_N + tl.arange(0, BLOCK_N)
    start, stop = valid_range(p_lengths, i_b, TK, RAGGED, LEFT)
    m_r = o_r < ROWS
    o_m = tl.load(p_rows + o_r, mask=m_r, other=0)
    if SELF and RAGGED:  # queries of padding are padding too
        m_r = m_r & (o_m >= start) & (o_m < stop)
    m_k = (o_n >= start) & (o_n < stop)
    b_q = load_rows(
        p_q + i_b * stride_qb + i_h * stride_qh, o_m, m_r, o_d, stride_qt, D, BLOCK_D, True
    )
    p_kh = p_k + i_b * stride_kb + i_h // (H // HKV) * stride_kh
    b_k = load_rows(p_kh, o_n, m_k, o_d, stride_kt, D, BLOCK_D, True)
    b_lse, _ = load_statistics(p_lse + (i_b * H + i_h) * TQ, p_lse + (i_b * H + i_h) * TQ, o_m, m_r)
    b_s = tile_scores(b_q, b_k, o_m, o_n, stop, TK - TQ, True, CAUSAL)
    b_w = tl.where(m_k[None, :], tl.exp2(b_s * (scale * LOG2E) - b_lse[:, None]), 0.0)  # [BM, BN]
    b_w = tl.sum(tl.reshape(b_w, [BLOCK_M, BLOCK_N // KEY_POOL, KEY_POOL]), 2)
    m_sees = tl.reshape((b_lse < float("inf")).to(tl.float32), [BLOCK_M // QUERY_POOL, QUERY_POOL])
    b_count = tl.maximum(tl.sum(m_sees, 1), 1.0)
    b_w = tl.reshape(b_w, [BLOCK_M // QUERY_POOL, QUERY_POOL, BLOCK_N // KEY_POOL])
    b_w = tl.sum(b_w, 1) / b_count[:, None]
    o_x = i_m * (BLOCK_M // QUERY_POOL) + tl.arange(0, BLOCK_M // QUERY_POOL)
    o_y = i_n * (BLOCK_N // KEY_POOL) + tl.arange(0, BLOCK_N // KEY_POOL)
    pointers = p_map + (i_bc * MAP_ROWS + o_x)[:, None] * MAP_KEYS + o_y[None, :]
    tl.store(pointers, b_w, mask=(o_x < MAP_ROWS)[:, None] & (o_y < MAP_KEYS)[None, :])


def map_triton(
    q: Tensor,
    k: Tensor,
    rows: Tensor,
    heads: list[int],
    pool: int,
    query_pool: int,
    is_causal: bool,
    lengths: Tensor | None,
    scale: float,
    padding_side: str,
    lse: Tensor | None,
) -> Tensor:
    """What `attention_map` says, by the kernel; the pools divide its tiles."""
    check_runnable(q)
    q, k = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k))
    left = padding_side == "left"
    if lengths is not None:
        lengths = lengths.to(device=q.device, dtype=torch.int32).contiguous()
    q, scale = positive_scale(q, scale)
    if lse is None:
        _, lse = run_forward(q, k, k, is_causal, lengths, scale, left)
    lse = lse.contiguous()
    batch, all_heads, queries, width = q.shape
    kv_heads, keys = k.shape[1:3]
    map_rows, map_keys = -(-len(rows) // query_pool), -(-keys // pool)
    found = torch.empty(batch, len(heads), map_rows, map_keys, device=q.device)
    chosen = torch.tensor(heads, device=q.device, dtype=torch.int32)
    grid = (triton.cdiv(len(rows), BLOCK_M), triton.cdiv(keys, BLOCK_N), batch * len(heads))
    map_kernel[grid](
        q, k, lse, rows.to(torch.int32), chosen, lengths, found, scale,
        all_heads, kv_heads, queries, keys, len(rows), map_rows, map_keys, len(heads),
        *q.stride()[:3], *k.stride()[:3],
        D=width, BLOCK_D=max(16, triton.next_power_of_2(width)), BLOCK_M=BLOCK_M, BLOCK_N=BLOCK_N,
        QUERY_POOL=query_pool, KEY_POOL=pool, CAUSAL=is_causal, RAGGED=lengths is not None, LEFT=left,
        SELF=queries == keys, num_warps=4,
    )  # fmt: skip
    return found
