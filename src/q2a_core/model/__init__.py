"""The model: tensors in, logits out. It knows neither files nor text nor sound."""

from q2a_core.model.cpu_step import CpuStep, can_step
from q2a_core.model.graph_prompt import GraphPrompt
from q2a_core.model.graph_step import GraphStep
from q2a_core.model.kv_cache import KVCache
from q2a_core.model.qwen2_audio import (
    IGNORE_INDEX,
    ModelOutput,
    Qwen2Audio,
    causal_lm_loss,
    check_clips,
)
from q2a_core.model.recordings import Recordings, forget_recorded, recordings_of

__all__ = [
    "IGNORE_INDEX",
    "CpuStep",
    "GraphPrompt",
    "GraphStep",
    "KVCache",
    "ModelOutput",
    "Qwen2Audio",
    "Recordings",
    "can_step",
    "causal_lm_loss",
    "check_clips",
    "forget_recorded",
    "recordings_of",
]
