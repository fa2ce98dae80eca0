"""Attention beside every attention that PyTorch has here: right first, then how fast and how large.

Everybody computes the same shape turn about, forward and with the backward pass. Who cannot run a shape here, or does
not agree with the fp32 reference, is named with the reason and not timed.
"""

from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from q2a_core.bench.attention_agreement import disagreement
from q2a_core.bench.attention_cases import (
    SDPA_BACKENDS,
    Attend,
    Shape,
    ours,
    shapes,
    tensors,
    theirs,
)
from q2a_core.bench.device import matrix_peak, peak_memory, turn_about
from q2a_core.errors import Q2AError
from q2a_core.kernels import attention_map, attention_weights, resolve_backend
from q2a_core.machine import machine
from q2a_core.progress import OnProgress, unheard

BACKWARD_FLOPS = 2.5
"""Of the backward pass, in forward passes: five products for two."""


def run_attention(
    *,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    repeats: int = 5,
    threads: int | None = None,
    only: list[Shape] | None = None,
    on_progress: OnProgress = unheard,
) -> dict[str, Any]:
    """Time all shapes on `device`, the GPU where there is one; a JSON-ready report.

    `dtype` is bfloat16 on a GPU and float32 elsewhere if not given. Raises Q2AError if ours is wrong.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    kind = dtype or (torch.bfloat16 if place.type == "cuda" else torch.float32)
    chosen = shapes(on_gpu=place.type == "cuda") if only is None else only
    before = torch.get_num_threads()
    rows = []
    try:
        torch.set_num_threads(threads or before)
        peak = matrix_peak(place, kind)
        for number, shape in enumerate(chosen):
            rows.append(_measure(shape, place, kind, repeats, peak))
            on_progress(number + 1, len(chosen))
    finally:
        torch.set_num_threads(before)
    device = torch.cuda.get_device_name(place) if place.type == "cuda" else "cpu"
    return {
        "machine": machine(threads=threads or before) | {"device": device},
        "device": device,
        "dtype": str(kind).removeprefix("torch."),
        "matrix_peak_tflops": peak / 1e12,
        "auto": resolve_backend("auto", place, 64),
        "rows": rows,
        "maps": map_memory(place) if place.type == "cuda" else {},
    }


def contenders(shape: Shape, device: torch.device) -> dict[str, Attend]:
    """Everybody who may be able to compute the shape; ours by backend, PyTorch's by kernel."""
    found = {"q2a sdpa": ours(shape, "sdpa", device)}
    if resolve_backend("auto", device, shape.width) == "triton":
        found["q2a triton"] = ours(shape, "triton", device)
    found |= {name: theirs(shape, backend, device) for name, backend in SDPA_BACKENDS.items()}
    return found


def _measure(
    shape: Shape, device: torch.device, dtype: torch.dtype, repeats: int, peak: float
) -> dict[str, Any]:
    *inputs, grad = tensors(shape, device=device, dtype=dtype)
    for row, count in enumerate(shape.lengths):
        grad[row, :, count:] = 0.0  # nobody learns from padding
    running, left_out = {}, {}
    for name, attend in contenders(shape, device).items():
        reason = disagreement(attend, inputs, grad, shape)
        if reason is None:
            running[name] = attend
        elif name.startswith("q2a"):
            raise Q2AError(f"nothing was timed: on {shape.what}, {name} {reason}")
        else:
            left_out[name] = reason

    def forward(attend: Attend) -> Callable[[], Any]:
        def run() -> Tensor:
            with torch.no_grad():
                return attend(*inputs)

        return run

    def both(attend: Attend) -> Callable[[], Any]:
        return lambda: torch.autograd.grad(attend(*inputs), inputs, grad)

    figures: dict[str, Any] = {name: {} for name in running}
    for part, make, factor in (
        ("forward", forward, 1.0),
        ("forward_backward", both, 1.0 + BACKWARD_FLOPS),
    ):
        actions = {name: make(attend) for name, attend in running.items()}
        for name, seconds in turn_about(actions, device, repeats).items():
            speed = factor * shape.flops / median(seconds)
            figures[name][part] = {
                "seconds": median(seconds),
                "runs": seconds,
                "tflops": speed / 1e12,
                "share_of_peak": speed / peak,
                "memory_bytes": peak_memory(actions[name], device),
            }
    return {
        "what": shape.what,
        "lengths": shape.lengths,
        "contenders": figures,
        "left_out": left_out,
    }


def map_memory(device: torch.device) -> dict[str, int]:
    """Peak bytes of a map of one layer of the published encoder: its weights as they are, and pooled by the kernel."""
    shape = Shape(name="encoder", batch=1, heads=20, width=64, length=1500)
    q, k, *_ = (x.detach() for x in tensors(shape, device=device, dtype=torch.bfloat16))
    heads = range(shape.heads)
    ways: dict[str, Callable[[], Any]] = {
        "materialised": lambda: attention_weights(q, k),
        "pooled to 40 ms": lambda: attention_map(q, k, pool=2),
        "pooled to 40 ms, head by head": lambda: [
            attention_map(q, k, heads=[head], pool=2).cpu() for head in heads
        ],
        "pooled to 160 ms": lambda: attention_map(q, k, pool=8),
    }
    return {name: peak_memory(way, device) or 0 for name, way in ways.items()}
