"""What judges of arrays share: the answer as an array, whether it fits, and which usual mistake gives just this."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def array_of(value: Any) -> np.ndarray:
    """An answer as NumPy numbers: tensors, lists and arrays are taken. Raises ValueError for what holds no numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        array = np.asarray(value)
        return array if array.dtype.kind == "c" else array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected an array of numbers; found {type(value).__name__}") from error


def near(found: np.ndarray, due: np.ndarray, tolerance: float) -> bool:
    """Same shape, real and finite, and apart by at most `tolerance` of the largest value (or of 1e-6)."""
    if found.shape != due.shape or found.dtype.kind == "c" or not np.isfinite(found).all():
        return False
    largest = max(float(np.abs(due).max(initial=0.0)), 1e-6)
    return float(np.abs(found - due).max(initial=0.0)) <= tolerance * largest


def first_that_fits(
    found: np.ndarray, mistakes: Mapping[str, Callable[[], np.ndarray]], tolerance: float
) -> str | None:
    """The message whose mistake gives exactly what was found; None if none does."""
    for message, mistaken in mistakes.items():
        if near(found, np.asarray(mistaken(), dtype=np.float64), tolerance):
            return message
    return None


def wrong_shape(found: np.ndarray, due: np.ndarray) -> str:
    """A sentence about a shape that no usual mistake explains."""
    return f"shape {found.shape}; expected {due.shape}."
