"""What attention may be asked: shapes, types and lengths that fit, said in one sentence where they do not."""

import math

import torch
from torch import Tensor

SIDES = ("right", "left")
TRITON_WIDTHS = (16, 128)
TRITON_TYPES = (torch.float32, torch.float16, torch.bfloat16)
TRITON_ROWS = 65_535
"""Most sequences times heads: CUDA's limit for all but the first dimension of a grid."""


def check_inputs(
    q: Tensor, k: Tensor, v: Tensor | None, lengths: Tensor | None, padding_side: str
) -> None:
    """Raises ValueError for tensors, lengths or a side that no backend takes; v is None where weights are asked for."""
    if q.ndim != 4 or k.ndim != 4 or (v is not None and k.shape != v.shape):
        found = ", ".join(str(tuple(x.shape)) for x in (q, k, v) if x is not None)
        raise ValueError(f"expected q (B,H,Tq,Dh), k and v (B,Hkv,Tk,Dh); found {found}")
    heads_fit = k.shape[1] > 0 and q.shape[1] % k.shape[1] == 0
    if q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3] or not heads_fit:
        raise ValueError(
            f"q {tuple(q.shape)} and k {tuple(k.shape)} differ in batch or head width, or heads do not divide"
        )
    if not q.shape[3]:
        raise ValueError(
            f"q {tuple(q.shape)} has heads without width; expected a width of 1 or more"
        )
    if not q.is_floating_point():
        raise ValueError(
            f"q is of {q.dtype}; expected floating point: convert q, k and v, say to fp32"
        )
    others = [x for x in (k, v) if x is not None]
    if any(x.dtype != q.dtype or x.device != q.device for x in others):
        found = ", ".join(f"{x.dtype} on {x.device}" for x in (q, *others))
        raise ValueError(f"q, k and v must be of one type on one device; found {found}")
    if padding_side not in SIDES:
        raise ValueError(f"padding_side is {padding_side!r}; expected 'left' or 'right'")
    if lengths is None:
        return
    if not isinstance(lengths, Tensor):
        raise ValueError(
            f"lengths is a {type(lengths).__name__}; expected a tensor, one per sequence"
        )
    whole = not (lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool)
    if lengths.shape != (q.shape[0],) or not whole:
        raise ValueError(
            f"lengths has shape {tuple(lengths.shape)} and type {lengths.dtype}; "
            f"expected ({q.shape[0]},), one per sequence, of whole numbers"
        )
    if lengths.is_meta and not q.is_meta:
        raise ValueError(f"lengths is on meta, q on {q.device}; expected lengths that hold numbers")
    if lengths.device.type == "cpu" and not torch.compiler.is_compiling():
        # those on a device are not read, which would wait for it
        counts = lengths.tolist()
        if counts and not 0 <= min(counts) <= max(counts) <= k.shape[2]:
            raise ValueError(
                f"lengths is {counts}; expected 0 to {k.shape[2]} valid keys for each sequence"
            )


def as_number(scale: float | Tensor | None) -> float | None:
    """`scale` as every backend takes it; None stays. Raises ValueError for what is no finite number, or wants a
    gradient.
    """
    if scale is None:
        return None
    if isinstance(scale, Tensor) and (scale.ndim or scale.requires_grad):
        gradient = " that wants a gradient" if scale.requires_grad else ""
        raise ValueError(
            f"scale is a tensor of shape {tuple(scale.shape)}{gradient}; expected a number; multiply q by it instead"
        )
    try:
        number = float(scale)
    except (TypeError, ValueError):
        raise ValueError(f"scale is {scale!r}; expected a number") from None
    if not math.isfinite(number):
        raise ValueError(f"scale is {number}; expected a number that is finite")
    return number


def positive_scale(q: Tensor, scale: float | None) -> tuple[Tensor, float]:
    """Queries and a scale above zero; a sign goes into the queries, for kernels scale the largest score
    and what is masked.

    The sign alone: queries times a factor would be rounded once more.
    """
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    if factor > 0:
        return q, factor
    return (-q, -factor) if factor < 0 else (q * 0.0, 1.0)
