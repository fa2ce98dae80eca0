"""What a tab was told or has computed, by key: the last so many entries."""

from collections.abc import Callable
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")
KEPT = 64
"""Entries that are kept where nothing else is said."""


class Remembered(dict[Key, Value]):
    """The `most` entries that were set last; beyond them the oldest go."""

    def __init__(self, most: int = KEPT) -> None:
        super().__init__()
        self.most = most

    def __setitem__(self, key: Key, value: Value) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        while len(self) > self.most:
            del self[next(iter(self))]

    def once(self, key: Key, compute: Callable[[], Value]) -> Value:
        """What is kept for this key; computed where nothing is."""
        if key not in self:
            self[key] = compute()
        return self[key]
