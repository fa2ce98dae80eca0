"""The model: tensors in, logits out. It knows neither files nor text nor sound."""

from q2a_core.model.fast_paths.cpu_step import CpuStep, can_step
from q2a_core.model.fast_paths.graph_prompt import GraphPrompt
from q2a_core.model.fast_paths.graph_step import GraphStep
from q2a_core.model.fast_paths.kept_graphs import KeptGraphs, forget_graphs, graphs_of
from q2a_core.model.kv_cache import KVCache
from q2a_core.model.qwen2_audio import (
    IGNORE_INDEX,
    ModelOutput,
    Qwen2Audio,
    causal_lm_loss,
    check_clips,
)

__all__ = [
    "IGNORE_INDEX",
    "CpuStep",
    "GraphPrompt",
    "GraphStep",
    "KVCache",
    "KeptGraphs",
    "ModelOutput",
    "Qwen2Audio",
    "can_step",
    "causal_lm_loss",
    "check_clips",
    "forget_graphs",
    "graphs_of",
]
