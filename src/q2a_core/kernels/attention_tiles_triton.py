"""What the attention kernels share: ranges of valid keys, tiles of rows and of scores, and the sizes of these tiles.

Letters: p_ pointers, i_ indices of this program, o_ offsets, m_ masks, b_ blocks in fast memory; M queries, N keys.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton import knobs
from triton.tools.tensor_descriptor import TensorDescriptor

from q2a_core.errors import BackendError
from q2a_core.kernels.attention_inputs import TRITON_ROWS, TRITON_TYPES, TRITON_WIDTHS

LOG2E = tl.constexpr(1.4426950408889634)
LN2 = tl.constexpr(0.6931471805599453)
LENGTHS = ["TQ", "TK"]
"""Of which no kernel is compiled anew: clips and replies have all lengths."""
SPARE = 4096
"""Bytes of fast memory left for what reductions exchange."""
OLD_ROOM = 64 * 1024
"""Fast memory of a program on a GPU older than Ampere."""


@triton.jit
def valid_range(p_lengths, i_b, T, RAGGED: tl.constexpr, LEFT: tl.constexpr):
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
def query_tile(CAUSAL: tl.constexpr):
    """Which tile of queries this program has: under a causal mask those with the most keys begin first."""
    return tl.num_programs(0) - 1 - tl.program_id(0) if CAUSAL else tl.program_id(0)


@triton.jit
def key_range(start, stop, first, last, shift, BLOCK_N: tl.constexpr, CAUSAL: tl.constexpr):
    """Keys that queries first..last may see: begin, end of the whole tiles that all of them see, end."""
    end, seen_by_all = stop, stop
    if CAUSAL:
        end = tl.minimum(stop, last + shift + 1)
        seen_by_all = tl.minimum(stop, first + shift + 1)
    whole = start + tl.maximum(seen_by_all - start, 0) // BLOCK_N * BLOCK_N
    return start, whole, tl.maximum(end, whole)


@triton.jit
def load_rows(p, o, m, o_d, stride, D: tl.constexpr, BLOCK_D: tl.constexpr, MASKED: tl.constexpr):
    """Rows `o` of a matrix as a block [rows, BLOCK_D]; zero where `m` is false and behind the head's width."""
    pointers = p + o.to(tl.int64)[:, None] * stride + o_d[None, :]
    if D == BLOCK_D:
        return tl.load(pointers, mask=m[:, None], other=0.0) if MASKED else tl.load(pointers)
    m_d = (o_d < D)[None, :]
    return tl.load(pointers, mask=m[:, None] & m_d if MASKED else m_d, other=0.0)


@triton.jit
def store_rows(p, b, o, m, o_d, stride, D: tl.constexpr):
    """Write a block [rows, BLOCK_D] to the rows `o` for which `m` holds."""
    pointers = p + o.to(tl.int64)[:, None] * stride + o_d[None, :]
    tl.store(pointers, b.to(p.dtype.element_ty), mask=m[:, None] & (o_d < D)[None, :])


@triton.jit
def tile_scores(b_q, b_k, o_m, o_n, stop, shift, MASKED: tl.constexpr, CAUSAL: tl.constexpr):
    """Scores before scaling [BM, BN]; minus infinity where a query may not look."""
    b_s = tl.dot(b_q, tl.trans(b_k), input_precision="ieee")
    if MASKED:
        m_s = (o_n < stop)[None, :]
        if CAUSAL:
            m_s = m_s & (o_n[None, :] <= o_m[:, None] + shift)
        b_s = tl.where(m_s, b_s, float("-inf"))
    return b_s


@triton.jit
def load_tile(
    p, tiles, i_b, i_kv, first, stop, o_d, stride,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    """Keys or values first.. of this head [BN, BD]; whole tiles by the copy engine where `tiles` describes them."""
    o_n = first + tl.arange(0, BLOCK_N)
    if tiles is None:
        b_tile = load_rows(p, o_n, o_n < stop, o_d, stride, D, BLOCK_D, MASKED)
    elif MASKED:
        b_tile = load_rows(p, o_n, o_n < stop, o_d, stride, D, BLOCK_D, True)
    else:
        b_tile = tiles.load([i_b, i_kv, first, 0]).reshape([BLOCK_N, BLOCK_D])
    return b_tile


@triton.jit
def load_statistics(p_lse, p_delta, o_m, m_q):
    """Log-sum-exp in base 2 and delta of some queries; an infinite one makes the weights of what saw nothing zero."""
    b_lse = tl.load(p_lse + o_m, mask=m_q, other=float("-inf")) * LOG2E
    b_lse = tl.where(b_lse == float("-inf"), float("inf"), b_lse)
    return b_lse, tl.load(p_delta + o_m, mask=m_q, other=0.0)


def tile_sizes(part: str, head_dim: int, dtype: torch.dtype, *, room: int) -> dict[str, int]:
    """Tile sizes and warps of a kernel, `fwd`, `dkdv` or `dq`: the quickest on an H100, cut to `room` bytes.

    `room` is the fast memory that one program may have: 64 KiB on a T4, 99 on a GeForce 30 or 40, 227 on an H100.
    """
    wide = head_dim > 64
    if dtype == torch.float32:  # four bytes, and no tensor cores to feed
        m, n, warps, stages = 32, 32, 4, 2
    elif part == "fwd":
        m, n, warps, stages = (128, 64, 4, 2) if wide else (128, 64, 8, 3)
    elif part == "dkdv":
        m, n, warps, stages = (64, 64, 4, 2) if wide else (128, 64, 4, 2)
    else:
        m, n, warps, stages = 128, 64, 8, 3
    row = max(16, triton.next_power_of_2(head_dim)) * dtype.itemsize

    def needed() -> int:
        """Tiles that stay, and those that the copies of `stages` turns fill ahead."""
        stay, come = {"fwd": (m, 2 * n), "dq": (2 * m, 2 * n), "dkdv": (2 * n, 2 * m)}[part]
        # before Ampere the scores and their gradient pass through fast memory too
        scores = 8 * m * n if room <= OLD_ROOM else 0
        return row * (stay + stages * come) + scores + SPARE

    while needed() > room and (stages, m, n) != (1, 16, 16):
        if stages > 1:
            stages -= 1
        elif m >= n:
            m //= 2
        else:
            n //= 2
    return {"BLOCK_M": m, "BLOCK_N": n, "num_warps": warps, "num_stages": stages}


def fast_memory(device: torch.device) -> int:
    """Bytes of fast memory that one program may have on `device`; as on an H100 where kernels are interpreted."""
    if device.type != "cuda":
        return 227 * 1024
    properties = torch.cuda.get_device_properties(device)
    return getattr(properties, "shared_memory_per_block_optin", OLD_ROOM)  # AMD's say nothing


def tile_descriptor(x: Tensor, rows: int) -> TensorDescriptor | None:
    """Keys or values (B, H, T, D) as tiles of `rows` for the copy engine of a GPU that has one (Hopper and later).

    None where there is none, where memory is not aligned for it, and for narrow heads, which gain nothing.
    """
    if x.is_cuda and (torch.version.hip or torch.cuda.get_device_capability(x.device)[0] < 9):
        return None
    width, size = x.shape[-1], x.dtype.itemsize
    # nor does it read what is expanded, whose stride is 0
    aligned = x.data_ptr() % 16 == 0 and all(n and n * size % 16 == 0 for n in x.stride()[:-1])
    if width != TRITON_WIDTHS[1] or not aligned or not x.numel():
        return None
    return TensorDescriptor(x, list(x.shape), list(x.stride()), [1, 1, rows, width])


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


def check_runnable(q: Tensor) -> None:
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
    if q.dtype not in TRITON_TYPES:
        raise BackendError(
            f"the triton backend computes in float32, float16 and bfloat16; found {q.dtype}"
        )
    if q.shape[0] * q.shape[1] > TRITON_ROWS:
        raise BackendError(
            f"the triton backend takes up to {TRITON_ROWS:,} sequences times heads; "
            f"found {q.shape[0]:,} times {q.shape[1]:,}, choose sdpa or smaller batches"
        )
    narrowest, widest = TRITON_WIDTHS
    if not narrowest <= q.shape[-1] <= widest:
        raise BackendError(
            f"the triton backend takes heads of width {narrowest} to {widest}; found {q.shape[-1]}, "
            "choose sdpa"
        )
