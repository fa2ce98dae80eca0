"""Attention: one public function, several backends that must agree, and maps of what was attended to."""

from q2a_core.kernels.attention import BACKENDS, attention, resolve_backend
from q2a_core.kernels.attention_map import attention_map
from q2a_core.kernels.attention_reference import attention_mask, attention_weights

__all__ = [
    "BACKENDS",
    "attention",
    "attention_map",
    "attention_mask",
    "attention_weights",
    "resolve_backend",
]
