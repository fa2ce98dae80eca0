"""How long work tells how far it is: a callback that counts."""

from collections.abc import Callable

OnProgress = Callable[[int, int], None]
"""Called with (done, total): of what, the function that takes it says."""


def unheard(done: int, total: int) -> None:
    """For those who need not know."""
