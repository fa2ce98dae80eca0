"""One row of the mini Table 2 as a record: which scenes, what is asked about them, and how replies are scored."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count as count_from
from itertools import islice

import numpy as np

from q2a_core.evaluation.items import Item
from q2a_core.evaluation.metrics import Score
from q2a_core.world.render import render
from q2a_core.world.sampler import GrownSampler
from q2a_core.world.scene import Scene, SceneKind
from q2a_core.world.speech.utterance_book import UtteranceBook
from q2a_core.world.speech.utterances import Utterance
from q2a_core.world.task import Task

TEST_UTTERANCES = 1500
"""Phrases in the book that the mini suites draw from."""
Answered = list[tuple[Item, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class MiniSuite:
    """One row of the table."""

    name: str
    metric: str
    """WER, CER, BLEU, accuracy or judge 0-10."""
    seed: int
    """Of its scenes; no training run uses it."""
    kinds: tuple[SceneKind, ...]
    """Scenes that its clips are."""
    pose: Callable[[Scene, np.random.Generator], Task]
    """The question about a scene."""
    score: Callable[[Answered], Score]
    hits: Callable[[Answered], list[bool]] | None = None
    """Where the figure is a share of the items: which of them."""
    fits: Callable[[Scene], bool] = lambda scene: True
    """Which scenes can be asked."""
    stage_of: Callable[[Scene], Scene] = lambda scene: scene
    """The scene as this suite records it: clean, or in noise."""


def mini_scenes(suite: MiniSuite, utterances: Sequence[Utterance]) -> Iterator[tuple[Scene, Task]]:
    """What a suite asks, without end and the same on every machine: each scene, not yet heard, and its dialogue."""
    sampler = GrownSampler(utterances, "test", seed=suite.seed, stage="suites", kinds=suite.kinds)
    for index in count_from(0):
        scene = sampler.scene(index)
        if suite.fits(scene):
            scene = suite.stage_of(scene)
            yield scene, suite.pose(scene, scene.rng(2))


def mini_items(suite: MiniSuite, book: UtteranceBook, *, count: int) -> list[Item]:
    """The first `count` items of a suite, the same on every machine."""
    return [
        Item(scene=scene, task=task, samples=render(scene, book).samples)
        for scene, task in islice(mini_scenes(suite, book.utterances), count)
    ]
