"""Usual mistakes as functions: an answer that gives what one of them gives, in every case, is known by its name."""

from collections.abc import Callable, Sequence
from typing import Any

Mistake = tuple[Callable[..., Any], str]
"""What somebody computes by mistake, and what to say to it."""


def mistake_made(
    mistakes: Sequence[Mistake],
    cases: Sequence[tuple[Any, ...]],
    found: Sequence[Any],
    same: Callable[[Any, Any], bool],
) -> str | None:
    """The message of the first mistake that gives `found` in all `cases`; None if it is none of them."""
    for wrong_way, message in mistakes:
        try:
            given = [wrong_way(*case) for case in cases]
        except (ArithmeticError, IndexError, ValueError):
            continue  # it has no answer to one of the cases, so it is not what the student did
        if all(same(one, other) for one, other in zip(given, found, strict=True)):
            return message
    return None


def near(one: Any, other: Any, *, relative: float = 1e-6) -> bool:
    """Whether two numbers are the same but for rounding."""
    return abs(float(one) - float(other)) <= relative * max(1.0, abs(float(other)))
