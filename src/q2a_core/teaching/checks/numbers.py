"""Answers as numbers: taken from tensors, lists and arrays, and compared up to rounding."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from q2a_core.teaching.exercise import Verdict, wrong

CLOSE = 1e-4
"""Largest relative or absolute difference that rounding may make."""


def array_of(value: Any) -> np.ndarray:
    """An answer as NumPy numbers: tensors, lists and arrays are taken. Raises ValueError for what holds no numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        array = np.asarray(value)
        return array if array.dtype.kind == "c" else array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected an array of numbers; found {type(value).__name__}") from error


def number(value: Any) -> float:
    """A number, a NumPy scalar or a tensor of one element as a float. Raises TypeError and ValueError for others."""
    array = array_of(value)
    if array.size != 1 or array.dtype.kind == "c":
        raise TypeError(f"found {array.size} values, expected one real number")
    return float(array.reshape(()))


def some_numbers(value: Any, count: int) -> np.ndarray | None:
    """`count` real numbers (count,) from a tuple, a list, an array or a tensor; None for what is something else."""
    try:
        array = array_of(value).reshape(-1)
    except ValueError:
        return None
    return array if array.size == count and array.dtype.kind != "c" else None


def table_of(rows: Iterable[Any], count: int) -> np.ndarray | None:
    """Many answers of `count` numbers each as (N, count); None if one of them is something else."""
    kept = [
        row
        if isinstance(row, (tuple, list)) and len(row) == count
        else array_of(row).reshape(-1).tolist()
        for row in rows
    ]
    if any(len(row) != count for row in kept):
        return None
    table = array_of(kept)
    return table if table.ndim == 2 and table.dtype.kind != "c" else None


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


def same_number(one: Any, other: Any, *, relative: float = 1e-6) -> bool:
    """Whether two numbers are the same but for rounding."""
    return abs(float(one) - float(other)) <= relative * max(1.0, abs(float(other)))


def agree(found: Any, due: Any) -> bool:
    """Whether two numbers or arrays are the same up to `CLOSE`; nan and inf agree with themselves."""
    a, b = array_of(found), array_of(due)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=CLOSE, atol=CLOSE, equal_nan=True))


def near(found: np.ndarray, due: np.ndarray, tolerance: float) -> bool:
    """Same shape, real and finite, and apart by at most `tolerance` of the largest value (or of 1e-6)."""
    if found.shape != due.shape or found.dtype.kind == "c" or not np.isfinite(found).all():
        return False
    largest = max(float(np.abs(due).max(initial=0.0)), 1e-6)
    return float(np.abs(found - due).max(initial=0.0)) <= tolerance * largest


def wrong_shape(found: np.ndarray, due: np.ndarray) -> str:
    """A sentence about a shape that no usual mistake explains."""
    return f"shape {found.shape}; expected {due.shape}."
