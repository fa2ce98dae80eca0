"""The same question asked in several ways: does a checkpoint understand the wish, or know the string?

Clips without speech, so that nothing has to be spoken first. Every way asks the same things about the same clips and is
judged against the same truth; in the last row, the control, each clip is exchanged for the next one's.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from q2a_core.evaluation.metrics import Score, accuracy
from q2a_core.evaluation.mini_suites import rights
from q2a_core.evaluation.runner import answer
from q2a_core.evaluation.suites import Item, swapped
from q2a_core.world.mixtures import GrownSampler
from q2a_core.world.render import render
from q2a_core.world.scene import Scene, SceneKind
from q2a_core.world.tasks import ask
from q2a_core.world.wordings import PROMPTS

if TYPE_CHECKING:
    from q2a_core.checkpoint import Checkpoint

KINDS: tuple[SceneKind, ...] = ("sound", "vocal", "music")
ASKED = {"sound": "name_sound", "vocal": "vocal", "music": "instrument"}
"""What is asked about each kind of clip."""
SEED = 52_000
WAYS: dict[str, Callable[[str, int], str]] = {
    "official wording": lambda task, place: PROMPTS[task].official,
    "trained paraphrase": lambda task, place: _one_of(PROMPTS[task].train, place),
    "held-out paraphrase": lambda task, place: _one_of(PROMPTS[task].held_out, place),
    "tags": lambda task, place: PROMPTS[task].tags,
    "a question about nothing": lambda task, place: "Good morning.",
}
"""Way of asking to the words for a task; `place` varies the paraphrase."""
CONTROL = "official wording, clips exchanged"


def ways_of_asking(checkpoint: "Checkpoint", *, count: int = 24, seed: int = 0) -> dict[str, Score]:
    """Share of right answers by the way of asking, on `count` clips of the test split."""
    model = checkpoint.load_model()
    items = {way: _items(words, count, seed) for way, words in WAYS.items()}
    items[CONTROL] = swapped(items["official wording"])
    scores = {}
    for way, asked in items.items():
        replies = answer(checkpoint, model, asked)
        scores[way] = accuracy(rights(list(zip(asked, replies, strict=True))))
    return scores


def _items(words: Callable[[str, int], str], count: int, seed: int) -> list[Item]:
    silent: Any = SimpleNamespace(utterances=[])
    sampler = GrownSampler(silent, "test", seed=SEED + seed, stage="pretrain", kinds=KINDS)
    return [_item(sampler.scene(index), words, index, silent) for index in range(count)]


def _item(scene: Scene, words: Callable[[str, int], str], index: int, book: Any) -> Item:
    rng: np.random.Generator = scene.rng(2)
    task = ask(scene, ASKED[scene.kind], rng, lambda name, what: words(name, index))
    return Item(scene=scene, task=task, samples=render(scene, book).samples)


def _one_of(wordings: tuple[str, ...], place: int) -> str:
    return wordings[place % len(wordings)]
