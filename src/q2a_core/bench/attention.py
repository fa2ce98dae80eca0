"""Attention beside every attention that PyTorch has here: right first, then how fast and how large.

Everybody computes the same shape turn about, forward and with the backward pass. Who cannot run a shape here, or does
not agree with the fp32 reference, is named with the reason and not timed.
"""

import math
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from q2a_core.bench.attention_cases import (
    SDPA_BACKENDS,
    Attend,
    Shape,
    ours,
    shapes,
    tensors,
    theirs,
)
from q2a_core.errors import Q2AError
from q2a_core.kernels import attention, attention_map, attention_weights, resolve_backend
from q2a_core.machine import machine
from q2a_core.progress import OnProgress, unheard

TOLERANCES = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 4e-2}
"""Absolute, on outputs of size one: a few roundings of the type, and sums in another order."""
BACKWARD_FLOPS = 2.5
"""Of the backward pass, in forward passes: five products for two."""
REFERENCE_WEIGHTS = 2**27
"""The most that the reference holds at once, in numbers, of a sequence's weights."""
COMPARED = ("output", "gradient of q", "gradient of k", "gradient of v")


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


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of one large matrix product, the best of several: what this machine can reach."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2.0 * size**3 / min(_seconds(lambda: a @ b, device) for _ in range(6))


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
        reason = _disagreement(attend, inputs, grad, shape)
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
        for name, seconds in _turn_about(actions, device, repeats).items():
            speed = factor * shape.flops / median(seconds)
            figures[name][part] = {
                "seconds": median(seconds),
                "runs": seconds,
                "tflops": speed / 1e12,
                "share_of_peak": speed / peak,
                "memory_bytes": _memory(actions[name], device),
            }
    return {
        "what": shape.what,
        "lengths": shape.lengths,
        "contenders": figures,
        "left_out": left_out,
    }


def _disagreement(attend: Attend, inputs: list[Tensor], grad: Tensor, shape: Shape) -> str | None:
    """Why this one is not timed: it cannot run, or it or a gradient is off the reference where positions are valid."""
    with warnings.catch_warnings(record=True) as reasons:
        warnings.simplefilter("always")  # PyTorch gives its reasons as warnings
        try:
            out = attend(*inputs)
            gradients = torch.autograd.grad(out, inputs, grad, allow_unused=True)
        except RuntimeError as error:
            told = [str(reason.message).strip().splitlines()[0] for reason in reasons]
            return "cannot run: " + "; ".join([str(error).splitlines()[0], *told])
    found = [out.detach()]
    for x, gradient in zip(inputs, gradients, strict=True):
        found.append(torch.zeros_like(x) if gradient is None else gradient)
    bound = TOLERANCES[inputs[0].dtype]
    for row, count in enumerate(shape.lengths):
        # some heads at a time: the reference's weights are large
        together = max(1, REFERENCE_WEIGHTS // count**2)
        for head in range(0, shape.heads, together):
            place = (slice(row, row + 1), slice(head, head + together), slice(count))
            part = [x[place].detach().float().requires_grad_() for x in inputs]
            right = attention(*part, is_causal=shape.is_causal, backend="reference")
            expected = [right.detach(), *torch.autograd.grad(right, part, grad[place].float())]
            for name, mine, true in zip(COMPARED, found, expected, strict=True):
                error = float((mine[place].float() - true).abs().max())
                if not error <= bound * max(1.0, float(true.abs().max())):
                    return f"is off the reference: {name} by {error:.1e}; at most {bound:g} of its largest is right"
    return None


def _turn_about(
    actions: dict[str, Callable[[], Any]], device: torch.device, repeats: int
) -> dict[str, list[float]]:
    """Seconds of each, `repeats` times, in an order that turns; one round before does not count."""
    names = list(actions)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(repeats + 1):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            taken = _seconds(actions[name], device)
            if number:
                seconds[name].append(taken)
    return seconds


def _seconds(action: Callable[[], Any], device: torch.device) -> float:
    if device.type != "cuda":
        start = time.perf_counter()
        action()
        return time.perf_counter() - start
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    action()  # the launch queue is full while the clock runs
    start.record()
    for _ in range(10):
        action()
    end.record()
    torch.cuda.synchronize(device)
    return start.elapsed_time(end) / 1e4


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
    return {name: _memory(way, device) or 0 for name, way in ways.items()}


def _memory(action: Callable[[], Any], device: torch.device) -> int | None:
    """Peak bytes over what lay there before; None where nobody counts."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    action()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def to_markdown(report: dict[str, Any]) -> str:
    """A table for each pass: one line a shape, everybody's time and speed, and what `auto` takes beside the best."""
    lines = [
        f"attention on {report['device']}, {report['dtype']}; matrix product "
        f"{report['matrix_peak_tflops']:.3g} TFLOP/s; `auto` is {report['auto']}; torch {report['machine']['torch']}, "
        f"triton {report['machine']['triton'] or 'not installed'}; medians, turn about"
    ]
    for part, title in (("forward", "forward"), ("forward_backward", "forward and backward")):
        lines += [
            "",
            f"| {title} | ms (TFLOP/s) | q2a {report['auto']} over PyTorch's fastest |",
            "| --- | --- | ---: |",
        ]
        for row in report["rows"]:
            figures = {name: values[part] for name, values in row["contenders"].items()}
            shown = "; ".join(
                f"{name} {f['seconds'] * 1e3:.3g} ({f['tflops']:.3g})"
                for name, f in figures.items()
            )
            others = [f["seconds"] for name, f in figures.items() if not name.startswith("q2a")]
            ratio = (
                min(others) / figures[f"q2a {report['auto']}"]["seconds"] if others else math.nan
            )
            lines.append(f"| {row['what']} | {shown} | {ratio:.2f} |")
    if report["maps"]:
        whole = report["maps"]["materialised"]
        shown = "; ".join(
            f"{name} {size / 1e6:.3g} MB ({size / whole:.1%})"
            for name, size in report["maps"].items()
        )
        lines += ["", f"Memory of the encoder's attention map, 20 heads, 1500 positions: {shown}."]
    return "\n".join(lines)
