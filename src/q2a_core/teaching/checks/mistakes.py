"""Usual mistakes by name: an answer that gives what one of them gives, in every case, is known by its message."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from q2a_core.teaching.checks.numbers import agree, near

Mistake = tuple[Callable[..., Any], str]
"""What somebody computes by mistake, and what to say to it."""
Same = Callable[[Any, Any], bool]


def named(
    found: Sequence[Any], mistakes: Mapping[str, Sequence[Any]], same: Same = agree
) -> str | None:
    """The first message whose values are what was found in every case; None if none are."""
    return _first(
        found, ((message, lambda v=values: v) for message, values in mistakes.items()), same
    )


def mistake_made(
    mistakes: Sequence[Mistake], cases: Sequence[tuple[Any, ...]], found: Sequence[Any], same: Same
) -> str | None:
    """The message of the first mistake that gives `found` in all `cases`; None if it is none of them."""
    given = (
        (message, lambda way=wrong_way: [way(*case) for case in cases])
        for wrong_way, message in mistakes
    )
    return _first(found, given, same)


def first_that_fits(
    found: np.ndarray, mistakes: Mapping[str, Callable[[], np.ndarray]], tolerance: float
) -> str | None:
    """The message whose mistake gives exactly this array; None if none does."""
    given = (
        (message, lambda way=mistaken: [np.asarray(way(), dtype=np.float64)])
        for message, mistaken in mistakes.items()
    )
    return _first([found], given, lambda one, other: near(other, one, tolerance))


def _first(
    found: Sequence[Any], mistakes: Iterable[tuple[str, Callable[[], Sequence[Any]]]], same: Same
) -> str | None:
    for message, values in mistakes:
        try:
            given = values()
        except (ArithmeticError, IndexError, ValueError):
            continue  # it has no answer to one of the cases, so it is not what the student did
        if all(same(one, other) for one, other in zip(given, found, strict=True)):
            return message
    return None
