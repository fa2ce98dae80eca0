"""Which usual mistake gives these very numbers? Judges compute what each mistake would give and compare."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from q2a_core.teaching.exercise import Verdict, wrong

CLOSE = 1e-4
"""Largest relative or absolute difference that rounding may make."""


def number(value: Any) -> float:
    """A number, a NumPy scalar or a tensor of one element as a float; raises TypeError for anything else."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    array = np.asarray(value, dtype=np.float64)
    if array.size != 1:
        raise TypeError(f"found {array.size} values, expected one number")
    return float(array.reshape(()))


def agree(found: Any, due: Any) -> bool:
    """Whether two numbers or arrays are the same up to rounding; nan and inf agree with themselves."""
    a, b = _array(found), _array(due)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=CLOSE, atol=CLOSE, equal_nan=True))


def named(found: Sequence[Any], mistakes: Mapping[str, Sequence[Any]]) -> str | None:
    """The first message whose mistake gives what was found in every case; None if none does."""
    for message, values in mistakes.items():
        if all(agree(a, b) for a, b in zip(found, values, strict=True)):
            return message
    return None


def not_one_number(value: Any, what: str) -> Verdict | None:
    """A verdict for an answer that should be one number and is not; None if it is one."""
    try:
        number(value)
    except (TypeError, ValueError):
        kind = type(value).__name__
        shape = tuple(getattr(value, "shape", ()))
        size = f" of shape {shape}" if shape else ""
        return wrong(f"the answer is a {kind}{size}; expected {what}, as one number.")
    return None


def _array(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype=np.float64)
