"""Attention: one public function, several backends that must agree."""

from q2a_core.kernels.attention import BACKENDS, attention, resolve_backend
from q2a_core.kernels.attention_reference import attention_mask, attention_weights

__all__ = ["BACKENDS", "attention", "attention_mask", "attention_weights", "resolve_backend"]
