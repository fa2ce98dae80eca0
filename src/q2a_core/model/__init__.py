"""The model: tensors in, logits out. It knows neither files nor text nor sound."""

from q2a_core.model.cpu_step import CpuStep, can_step
from q2a_core.model.graph_prompt import (
    GraphPrompt,
    forget_recorded,
    recorded_model,
    recorded_prompt,
)
from q2a_core.model.graph_step import GraphStep
from q2a_core.model.kv_cache import KVCache
from q2a_core.model.qwen2_audio import IGNORE_INDEX, ModelOutput, Qwen2Audio, causal_lm_loss
from q2a_core.model.recording import can_record

__all__ = [
    "IGNORE_INDEX",
    "CpuStep",
    "GraphPrompt",
    "GraphStep",
    "KVCache",
    "ModelOutput",
    "Qwen2Audio",
    "can_record",
    "can_step",
    "causal_lm_loss",
    "forget_recorded",
    "recorded_model",
    "recorded_prompt",
]
