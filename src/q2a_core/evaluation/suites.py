"""What is asked in an evaluation: held-out clips, their questions, and how a reply is scored."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from q2a_core.evaluation.metrics import Score, accuracy, normalise, word_error_rate
from q2a_core.world.answers import bare
from q2a_core.world.corpus import Corpus
from q2a_core.world.dialogues import NOUNS, Task, make_task
from q2a_core.world.render import render
from q2a_core.world.scene import Scene, SceneKind
from q2a_core.world.speech.utterance_book import UtteranceBook

TEST_UTTERANCES = 600
"""Phrases in the book that test clips draw from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One clip and one question."""

    scene: Scene
    task: Task
    samples: np.ndarray  # float32 (S,), 16 kHz


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """One row of the table."""

    name: str
    """recognition, sound, sound + spoken question."""
    metric: str
    """WER or accuracy."""
    kind: SceneKind
    """Scenes that its clips are."""
    task: str
    """What is asked about them."""
    seed: int
    """Of its scenes; no training run uses it."""
    score: Callable[[list[tuple[Item, str]]], Score]
    """From items with replies to the figure."""


def _wer(replies: list[tuple[Item, str]]) -> Score:
    return word_error_rate([(item.task.answer, reply) for item, reply in replies])


def names_sound(reply: str, label: str) -> bool:
    """Whether a reply names this sound and no other."""
    words = f" {normalise(reply)} "
    named = {other for other, noun in NOUNS.items() if f" {bare(noun)} " in words}
    return named == {label}


def _sound(replies: list[tuple[Item, str]]) -> Score:
    hits = []
    for item, reply in replies:
        event = item.scene.first("sound")
        assert event is not None
        hits.append(names_sound(reply, event.label))
    return accuracy(hits)


FIRST_WORLD = (
    Suite(name="recognition", metric="WER", kind="speech", task="transcribe", seed=101, score=_wer),
    Suite(name="sound", metric="accuracy", kind="sound", task="name_sound", seed=102, score=_sound),
    Suite(
        name="sound + spoken question",
        metric="accuracy",
        kind="question",
        task="voice_chat",
        seed=103,
        score=_sound,
    ),
)
"""The suites of the first mini world."""


def suite_items(suite: Suite, book: UtteranceBook, *, count: int) -> list[Item]:
    """The first `count` items of a suite, the same on every machine."""
    corpus = Corpus(book, "test", seed=suite.seed, kinds=(suite.kind,))
    items = []
    for index in range(count):
        scene = corpus.sampler.scene(index)
        task = make_task(scene, suite.task, scene.rng(2))
        items.append(Item(scene=scene, task=task, samples=render(scene, book).samples))
    return items


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
