"""Flash attention in Triton: softmax(q k^T) v without ever storing q k^T; attention_backward_triton.py has gradients.

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
  On Hopper and later the copy engine brings the whole tiles of wide heads, which frees the registers that held their
  addresses: 5 % on an H100.
- Under a causal mask the tiles with the most keys begin first, so that none of them is left over at the end.
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

from q2a_core.errors import BackendError
from q2a_core.kernels.attention_backward_triton import run_backward
from q2a_core.kernels.attention_inputs import positive_scale
from q2a_core.kernels.attention_tiles_triton import (
    LENGTHS,
    LN2,
    LOG2E,
    Layout,
    check_runnable,
    fast_memory,
    key_range,
    load_rows,
    load_tile,
    query_tile,
    store_rows,
    tile_descriptor,
    tile_scores,
    tile_sizes,
    valid_range,
)


@triton.jit
def attend(
    b_acc, b_l, b_m, b_q, p_k, p_v, k_tiles, v_tiles, i_b, i_kv, begin, end, o_m, o_d, stop, shift, scale,
    stride_k, stride_v,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr, MASKED: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """Walk over the keys begin..end in tiles, with the online softmax."""
    for first in range(begin, end, BLOCK_N):
        o_n = first + tl.arange(0, BLOCK_N)
        b_k = load_tile(
            p_k, k_tiles, i_b, i_kv, first, stop, o_d, stride_k, D, BLOCK_D, BLOCK_N, MASKED
        )
        b_s = tile_scores(b_q, b_k, o_m, o_n, stop, shift, MASKED, CAUSAL)  # [BM, BN]
        b_new = tl.maximum(b_m, tl.max(b_s, 1) * scale)
        # a query that has seen no key yet has no largest score: subtract 0, and exp2 gives the 0 that it should
        b_top = tl.where(b_new == float("-inf"), 0.0, b_new) if MASKED else b_new
        b_w = tl.exp2(b_s * scale - b_top[:, None])  # one instruction and the exponential
        b_shrink = tl.exp2(b_m - b_top)
        b_v = load_tile(
            p_v, v_tiles, i_b, i_kv, first, stop, o_d, stride_v, D, BLOCK_D, BLOCK_N, MASKED
        )
        b_l = b_l * b_shrink + tl.sum(b_w, 1)
        b_acc = tl.dot(b_w.to(b_v.dtype), b_v, b_acc * b_shrink[:, None], input_precision="ieee")
        b_m = b_new
    return b_acc, b_l, b_m


@triton.jit(do_not_specialize=LENGTHS)
def attention_fwd_kernel(
    p_q, p_k, p_v, k_tiles, v_tiles, p_o, p_lse, p_lengths, scale, H, HKV, TQ, TK,
    stride_qb, stride_qh, stride_qt, stride_kb, stride_kh, stride_kt, stride_vb, stride_vh, stride_vt,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    CAUSAL: tl.constexpr, RAGGED: tl.constexpr, LEFT: tl.constexpr, SELF: tl.constexpr,
):  # fmt: skip
    """One tile of queries of one head: output [BM, D] and log-sum-exp [BM]."""
    i_m, i_bh = query_tile(CAUSAL), tl.program_id(1).to(tl.int64)
    i_b, i_h = i_bh // H, i_bh % H
    i_kv = i_h // (H // HKV)
    o_m, o_d = i_m * BLOCK_M + tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_D)
    start, stop = valid_range(p_lengths, i_b, TK, RAGGED, LEFT)
    m_q = o_m < TQ
    begin, whole, end = key_range(
        start, stop, i_m * BLOCK_M, i_m * BLOCK_M + BLOCK_M - 1, TK - TQ, BLOCK_N, CAUSAL
    )
    if SELF and RAGGED:  # queries of padding are padding too
        m_q = (o_m >= start) & (o_m < stop)
        padding = (i_m * BLOCK_M >= stop) | (i_m * BLOCK_M + BLOCK_M <= start)
        whole, end = tl.where(padding, begin, whole), tl.where(padding, begin, end)
    p_k += i_b * stride_kb + i_kv * stride_kh
    p_v += i_b * stride_vb + i_kv * stride_vh
    b_q = load_rows(
        p_q + i_b * stride_qb + i_h * stride_qh, o_m, m_q, o_d, stride_qt, D, BLOCK_D, True
    )
    b_acc = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    b_l, b_m = tl.zeros([BLOCK_M], tl.float32), tl.full([BLOCK_M], float("-inf"), tl.float32)
    b_acc, b_l, b_m = attend(
        b_acc, b_l, b_m, b_q, p_k, p_v, k_tiles, v_tiles, i_b.to(tl.int32), i_kv.to(tl.int32), begin, whole, o_m, o_d,
        stop, TK - TQ, scale * LOG2E, stride_kt, stride_vt, D, BLOCK_D, BLOCK_N, False, CAUSAL,
    )  # fmt: skip
    b_acc, b_l, b_m = attend(
        b_acc, b_l, b_m, b_q, p_k, p_v, k_tiles, v_tiles, i_b.to(tl.int32), i_kv.to(tl.int32), whole, end, o_m, o_d,
        stop, TK - TQ, scale * LOG2E, stride_kt, stride_vt, D, BLOCK_D, BLOCK_N, True, CAUSAL,
    )  # fmt: skip
    m_seen = m_q & (b_l > 0)
    b_l = tl.where(m_seen, b_l, 1.0)
    # one division a query, not one a number
    b_o = tl.where(m_seen[:, None], b_acc * (1.0 / b_l)[:, None], 0.0)
    b_lse = tl.where(m_seen, (b_m + tl.log2(b_l)) * LN2, float("-inf"))
    store_rows(p_o + i_bh * TQ * D, b_o, o_m, o_m < TQ, o_d, D, D)
    tl.store(p_lse + i_bh * TQ + o_m, b_lse, mask=o_m < TQ)


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
    tiles = tile_sizes("fwd", layout.width, q.dtype, room=fast_memory(q.device))
    k_tiles, v_tiles = tile_descriptor(k, tiles["BLOCK_N"]), tile_descriptor(v, tiles["BLOCK_N"])
    attention_fwd_kernel[layout.grid(layout.queries, tiles["BLOCK_M"], layout.heads)](
        q, k, v, k_tiles, v_tiles, out, lse, lengths, scale,
        *layout.sizes, *layout.strides, **layout.rules, **tiles,
    )  # fmt: skip
    return out, lse


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
        if torch.is_grad_enabled():  # asked for with create_graph
            raise BackendError(
                "the Triton kernels have no second derivatives; choose the backend reference for them"
            )
        grad, _ = grad_outputs
        *saved, lengths = ctx.saved_tensors
        is_causal, scale, left = ctx.options
        found = run_backward(tuple(saved), grad.contiguous(), is_causal, lengths, scale, left)
        return *found, None, None, None, None


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
    check_runnable(q)
    q, k, v = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, v))
    if lengths is not None:
        lengths = lengths.to(device=q.device, dtype=torch.int32).contiguous()
    q, factor = positive_scale(q, scale)
    return FlashAttention.apply(q, k, v, is_causal, lengths, factor, padding_side == "left")
