"""What a decoding step does besides attention, in two Triton kernels: a matrix times one vector, and rotary positions.

With one token the decoder reads each weight once, so a step takes what its memory takes; to come near that, nothing
else may be written and read in between. RMSNorm, biases, SwiGLU and the residual are therefore done where the product
is: a norm scales the whole vector by one number, which is known when its products are (so it is multiplied in last).
Each program has one row, and rows of several matrices that read the same vector run side by side.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

MAX_BLOCK = 4096
"""Columns that a program reads at a time: the quickest on an H100, where cuBLAS's product took 5 to 15 % longer."""


@triton.jit
def matvec_kernel(
    p_x, p_w0, p_w1, p_w2, p_b0, p_b1, p_b2, p_gain, p_residual, p_y, eps, N0, N1,
    K: tl.constexpr, BLOCK_K: tl.constexpr, GATED: tl.constexpr,
):  # fmt: skip
    """One row of the output: of matrix 0, 1 or 2; gated, silu of matrix 0's row times matrix 1's."""
    i_n = tl.program_id(0)
    i_row, p_w, p_b = i_n, p_w0, p_b0
    if not GATED and p_w1 is not None:
        if i_n >= N0 + N1:
            i_row, p_w, p_b = i_n - N0 - N1, p_w2, p_b2
        elif i_n >= N0:
            i_row, p_w, p_b = i_n - N0, p_w1, p_b1
    o_row = i_row.to(tl.int64) * K
    b_sum, b_up = tl.zeros([BLOCK_K], tl.float32), tl.zeros([BLOCK_K], tl.float32)
    b_squares = tl.zeros([BLOCK_K], tl.float32)
    for first in range(0, K, BLOCK_K):
        o_k = first + tl.arange(0, BLOCK_K)
        m_k = o_k < K
        b_w = tl.load(p_w + o_row + o_k, mask=m_k, other=0.0).to(tl.float32)
        b_x = tl.load(p_x + o_k, mask=m_k, other=0.0).to(tl.float32)
        if p_gain is not None:
            b_squares += b_x * b_x
            b_x *= tl.load(p_gain + o_k, mask=m_k, other=0.0).to(tl.float32)
        b_sum += b_w * b_x
        if GATED:
            b_up += tl.load(p_w1 + o_row + o_k, mask=m_k, other=0.0).to(tl.float32) * b_x
    y, up = tl.sum(b_sum, 0), tl.sum(b_up, 0)
    if p_gain is not None:
        factor = tl.rsqrt(tl.sum(b_squares, 0) / K + eps)
        y, up = y * factor, up * factor
    if p_b0 is not None:
        y += tl.load(p_b + i_row).to(tl.float32)
    if GATED:
        y = y * tl.sigmoid(y) * up
    if p_residual is not None:
        y += tl.load(p_residual + i_n).to(tl.float32)
    tl.store(p_y + i_n, y.to(p_y.dtype.element_ty))


def matvec(
    x: Tensor,
    weights: list[Tensor],
    *,
    biases: list[Tensor] | None = None,
    gain: Tensor | None = None,
    eps: float = 0.0,
    residual: Tensor | None = None,
    gated: bool = False,
) -> Tensor:
    """x (K,) times one matrix (N, K), or three, one after the other (sum of N,), summed in fp32.

    `gain` (K,) has RMSNorm go before, `residual` is added; `gated` takes two without biases: silu(w0 x) * (w1 x).
    Raises ValueError for another number of matrices.
    """
    if len(weights) != 2 if gated else len(weights) not in (1, 3):
        raise ValueError(
            f"{len(weights)} matrices were given; expected two with gated, else 1 or 3"
        )
    rows = [len(weight) for weight in weights]
    count = rows[0] if gated else sum(rows)
    none = [None] * (3 - len(weights))
    y = torch.empty(count, device=x.device, dtype=x.dtype)
    width = x.numel()
    matvec_kernel[(count,)](
        x, *weights, *none, *(biases or [None] * len(weights)), *none, gain, residual, y, eps,
        rows[0], rows[1] if len(rows) > 1 else 0,
        K=width, BLOCK_K=min(MAX_BLOCK, triton.next_power_of_2(width)), GATED=gated, num_warps=8,
    )  # fmt: skip
    return y


@triton.jit
def rotary_append_kernel(
    p_qkv, p_cos, p_sin, p_place, p_q, p_k, p_v, H, HKV, stride_k, stride_v,
    D: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One head's query turned by its position, or one head's key, turned, or value put into the cache."""
    i_h = tl.program_id(0)
    place = tl.load(p_place).to(tl.int64)
    o_d = tl.arange(0, BLOCK_D)
    m_d = o_d < D
    p_head = p_qkv + i_h * D
    b_x = tl.load(p_head + o_d, mask=m_d, other=0.0)
    if i_h < H + HKV:
        b_swapped = tl.load(p_head + (o_d + D // 2) % D, mask=m_d, other=0.0).to(tl.float32)
        b_cos = tl.load(p_cos + place * D + o_d, mask=m_d, other=0.0).to(tl.float32)
        b_sin = tl.load(p_sin + place * D + o_d, mask=m_d, other=0.0).to(tl.float32)
        b_turned = (b_x.to(tl.float32) * b_cos + b_swapped * b_sin).to(b_x.dtype)
        if i_h < H:
            tl.store(p_q + i_h * D + o_d, b_turned, mask=m_d)
        else:
            tl.store(p_k + (i_h - H) * stride_k + place * D + o_d, b_turned, mask=m_d)
    else:
        tl.store(p_v + (i_h - H - HKV) * stride_v + place * D + o_d, b_x, mask=m_d)


def rotary_append(
    qkv: Tensor, table: tuple[Tensor, Tensor], place: Tensor, keys: Tensor, values: Tensor
) -> Tensor:
    """Write one position's keys and values into `keys` and `values` (Hkv, T, D) at `place` (1,); its queries (H, D).

    `qkv` holds queries, keys and values of all heads; `table` the cosines and signed sines (length, D).
    """
    kv_heads, _, width = keys.shape
    heads = qkv.numel() // width - 2 * kv_heads
    q = torch.empty(heads, width, device=qkv.device, dtype=qkv.dtype)
    rotary_append_kernel[(heads + 2 * kv_heads,)](
        qkv, *table, place, q, keys, values, heads, kv_heads, keys.stride(0), values.stride(0),
        D=width, BLOCK_D=triton.next_power_of_2(width), num_warps=1,
    )  # fmt: skip
    return q
