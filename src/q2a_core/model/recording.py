"""Recording what a CUDA device does: which models may be recorded, and one graph at a time."""

import contextlib
import threading
from collections.abc import Iterator

import torch

from q2a_core.model.plain import is_hooked
from q2a_core.model.qwen2_audio import Qwen2Audio

_RECORDING = threading.Lock()
"""CUDA lets a process record one graph at a time; several replies may be on their way."""


def can_record(model: Qwen2Audio) -> bool:
    """Whether this model's work may be recorded: on a CUDA device, not under autocast, and nobody hooked in.

    Autocast keeps rounded weights and drops them at its end, and a record would go on reading where they lay.
    """
    embedding = model.decoder.embed_tokens
    return (
        embedding.weight.device.type == "cuda"
        and embedding.max_norm is None  # else a look-up waits for the device, which no record can
        and not torch.is_autocast_enabled("cuda")
        and not is_hooked(model)
    )


@contextlib.contextmanager
def recorded(device: torch.device) -> Iterator[torch.cuda.CUDAGraph]:
    """Record what is started inside; the graph can be replayed afterwards."""
    graph = torch.cuda.CUDAGraph()
    with _RECORDING, torch.cuda.device(device):
        # a stream of this device's own; other threads may go on with replies of theirs
        stream = torch.cuda.Stream(device)
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            yield graph
