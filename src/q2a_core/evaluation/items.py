"""What a suite asks: clips with their questions, the same with the clips exchanged, and replies for a report."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from q2a_core.world.scene import Scene
from q2a_core.world.task import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One clip and one question."""

    scene: Scene
    task: Task
    samples: np.ndarray  # float32 (S,), 16 kHz


def swapped(items: list[Item]) -> list[Item]:
    """Every question with another item's clip: the list moved on by a third, so that nobody keeps their own."""
    step = max(len(items) // 3, 1)
    moved = items[step:] + items[:step]
    return [
        Item(scene=item.scene, task=item.task, samples=other.samples)
        for item, other in zip(items, moved, strict=True)
    ]


def example_row(suite: str, item: Item, reply: str) -> dict[str, Any]:
    """A reply beside what was asked and what is true, for the report."""
    return {
        "suite": suite,
        "clip": item.scene.index,
        "question": [part.get("text") for part in item.task.prompt[-1]["content"]][-1],
        "true": item.task.answer,
        "reply": reply,
    }
