"""Ends what a test left running in the background."""

from q2a_core.training.runs import background


def end_runs() -> None:
    """Kill the processes that this one launched, wait for them, and forget them."""
    for child in [*background._children.values(), *background._leaving]:
        child.kill()
        child.wait()
    background._children.clear()
    background._leaving.clear()
