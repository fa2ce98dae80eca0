"""CUDA graphs: which models may be captured, one capture at a time."""

import contextlib
import functools
import threading
import weakref
from collections.abc import Callable

import torch
from torch import Tensor

from q2a_core.model.qwen2_audio import Qwen2Audio

_CAPTURING = threading.Lock()
"""CUDA lets a process capture one graph at a time; several replies may be on their way."""
_TOGETHER: "list[weakref.ref[torch.cuda.CUDAGraph]]" = []
"""Graphs captured since one was last dropped: the first of them to multiply took cuBLAS's memory for all."""
_NEEDED: "weakref.WeakKeyDictionary[torch.cuda.CUDAGraph, list[torch.cuda.CUDAGraph]]" = (
    weakref.WeakKeyDictionary()
)
"""Those that took such memory for a graph: it writes there at each replay, and PyTorch 2.13 gives it away
as soon as one that was captured on the same stream, and then the one that took it, are dropped."""
_BROKEN: list[torch.cuda.CUDAGraph] = []
"""Captures that could not be ended: PyTorch's allocator was not told and goes on asking them."""


def is_capturable(model: Qwen2Audio) -> bool:
    """Whether this model's work may be captured where it lies: on a CUDA device, and not under autocast.

    Whether it is as this project built it, `plain.py` tells. Autocast keeps rounded weights and drops them at its end,
    and a graph would go on reading where they lay.
    """
    embedding = model.decoder.embed_tokens
    return (
        embedding.weight.device.type == "cuda"
        and embedding.max_norm is None  # else a look-up waits for the device, which no graph can
        and not torch.is_autocast_enabled("cuda")
    )


def capture(
    device: torch.device, run: Callable[[], Tensor]
) -> tuple[torch.cuda.CUDAGraph, Tensor] | None:
    """What `run` starts, to be replayed, and where it writes its result; None where it cannot be captured.

    That is so if it waits for the device, or if another thread does meanwhile. Nothing has been computed then either.
    """
    stream, graph = _side_stream(device), torch.cuda.CUDAGraph()
    with _CAPTURING, torch.cuda.device(device):
        # cuBLAS makes every thread a handle of its own when it first multiplies, which no capture allows
        torch.cuda.current_blas_handle()
        earlier = [held for one in _TOGETHER.copy() if (held := one()) is not None]
        output = None
        try:
            with (
                torch.cuda.stream(stream),  # left even where the end of the capture raises
                # thread_local: other threads may go on with replies of theirs
                torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
                contextlib.suppress(RuntimeError),
            ):
                output = run()
        except RuntimeError:
            _BROKEN.append(graph)
            return None
        if output is None:
            return None
        _NEEDED[graph] = earlier
        _TOGETHER.append(weakref.ref(graph))
        weakref.finalize(graph, _TOGETHER.clear)
    return graph, output


@functools.cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """One for all graphs of a device: libraries keep memory of their own for every stream that they meet.

    Its priority takes it from another pool than streams that somebody else asks for.
    """
    return torch.cuda.Stream(device, priority=-1)
