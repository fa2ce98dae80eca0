"""The same question asked in several ways: does a checkpoint understand the wish, or know the string?

Clips without speech, so that nothing has to be spoken first. Every way asks the same things about the same clips and is
judged against the same truth; in the last row, the control, each clip is exchanged for the next one's.
"""

from collections.abc import Callable
from itertools import count as count_from
from itertools import islice
from typing import TYPE_CHECKING

from q2a_core.evaluation.items import Item, swapped
from q2a_core.evaluation.metrics import Score, accuracy
from q2a_core.evaluation.mini_scores import rights
from q2a_core.evaluation.runner import answer
from q2a_core.world.render import render
from q2a_core.world.sampler import GrownSampler
from q2a_core.world.scene import Scene, SceneKind
from q2a_core.world.tasks import ask, asked_tasks
from q2a_core.world.wordings import PROMPTS

if TYPE_CHECKING:
    from q2a_core.checkpoint import Checkpoint

KINDS: tuple[SceneKind, ...] = ("sound", "vocal", "music")
ASKED = {"sound": "count", "vocal": "is_there", "music": "is_there"}
"""What is asked about each kind of clip: answers that no clip suggests by itself, as the name of a sound would be."""
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
    sampler = GrownSampler((), "test", seed=SEED + seed, stage="pretrain", kinds=KINDS)
    drawn = (sampler.scene(index) for index in count_from(0))
    fitting = (scene for scene in drawn if ASKED[scene.kind] in asked_tasks(scene))
    return [_item(scene, words, place) for place, scene in enumerate(islice(fitting, count))]


def _item(scene: Scene, words: Callable[[str, int], str], place: int) -> Item:
    # the same random numbers for every way: the same thing is asked for
    task = ask(
        scene,
        ASKED[scene.kind],
        scene.rng(2),
        lambda name, what: words(name, place).replace("{}", what),
    )
    return Item(scene=scene, task=task, samples=render(scene, None).samples)


def _one_of(wordings: tuple[str, ...], place: int) -> str:
    return wordings[place % len(wordings)]
