"""How work on one device is timed, what memory it takes, and what the device itself can reach.

A GPU works on after a call returns: its own clock is asked, and several calls stand in its queue while it runs.
"""

import time
from collections.abc import Callable
from typing import Any

import torch


def turn_about(
    actions: dict[str, Callable[[], Any]], device: torch.device, repeats: int
) -> dict[str, list[float]]:
    """Seconds of each, `repeats` times, in an order that turns; one round before does not count."""
    names = list(actions)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(repeats + 1):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            taken = device_seconds(actions[name], device)
            if number:
                seconds[name].append(taken)
    return seconds


def device_seconds(action: Callable[[], Any], device: torch.device) -> float:
    """What one run of `action` takes there; on a GPU the mean of ten in a row."""
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


def peak_memory(action: Callable[[], Any], device: torch.device) -> int | None:
    """Peak bytes over what lay there before; None where nobody counts."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    action()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of one large matrix product, the best of several: what this machine can reach."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2.0 * size**3 / min(device_seconds(lambda: a @ b, device) for _ in range(6))


def copy_bandwidth(device: torch.device, *, megabytes: int = 1024) -> float:
    """Bytes a second that a large copy reads and writes, the best of ten."""
    on_gpu = device.type == "cuda"
    source = torch.empty((megabytes if on_gpu else 64) << 20, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(10):
        if on_gpu:
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        target.copy_(source)
        if on_gpu:
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * source.numel() / best
