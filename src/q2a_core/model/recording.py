"""Recording what a CUDA device does: which models may be recorded, and one graph at a time."""

import contextlib
import threading
from collections.abc import Iterator

import torch
from torch import nn

from q2a_core.model.audio_encoder import EncoderBlock
from q2a_core.model.decoder import DecoderBlock
from q2a_core.model.qwen2_audio import Qwen2Audio

_RECORDING = threading.Lock()
"""CUDA lets a process record one graph at a time; several replies may be on their way."""


def can_record(model: Qwen2Audio) -> bool:
    """Whether this model's work may be recorded: on a CUDA device, and nobody hooked in."""
    on_gpu = model.decoder.embed_tokens.weight.device.type == "cuda"
    return on_gpu and not any(
        module._forward_hooks or module._forward_pre_hooks for module in model.modules()
    )


def is_plain(blocks: nn.ModuleList) -> bool:
    """Whether these are this project's own blocks and layers, none wrapped, adapted or packed.

    What takes a formula in the place of a block's `forward` must know that there is nothing else in it.
    """
    known = {EncoderBlock, DecoderBlock}
    return all(type(block) in known for block in blocks) and all(
        type(layer) is nn.Linear and layer.weight.is_contiguous()
        for layer in blocks.modules()
        if hasattr(layer, "in_features")
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
