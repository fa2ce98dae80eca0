"""Timing two things fairly on a machine that does other work too: turn about, in one process."""

import time
from collections.abc import Callable
from typing import Any


def alternate(
    ours: Callable[[], float],
    other: Callable[[], float],
    *,
    rounds: int,
    tick: Callable[[], None],
    every: int = 1,
    settle: int = 1,
) -> tuple[list[float], list[float]]:
    """Figures of both sides, `rounds` of each, after one round that does not count.

    Who begins changes every round. Each figure follows `settle` calls of the same side that do not count, because what
    the other side left in the caches would be timed too, and weighs most on the quicker side. `tick` is called after
    the first round and after every `every` further ones.
    """
    sides = (ours, other)
    figures: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for side in (1, 0) if number % 2 else (0, 1):
            runs = [sides[side]() for _ in range(settle + 1)]
            if number:
                figures[side].append(runs[-1])
        if number % every == 0:
            tick()
    return figures


def seconds_of(action: Callable[[], Any]) -> Callable[[], float]:
    """`action`, giving the seconds it took instead of its result."""

    def timed() -> float:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    return timed


class TokenClock:
    """Notes when each token comes; has the two methods that transformers calls on a streamer."""

    def __init__(self, *, skip: int = 0):
        self.skip = skip  # calls before the first token
        self.times: list[float] = []

    def put(self, value: Any) -> None:
        """A token is there."""
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """The last token is there."""

    @property
    def rate(self) -> float:
        """Tokens a second after the first token."""
        times = self.times[self.skip :]
        return (len(times) - 1) / (times[-1] - times[0])
