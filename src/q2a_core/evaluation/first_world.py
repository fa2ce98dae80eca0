"""`q2a eval --suite first`: what the first world asks on held-out clips, how a reply is scored, and the report."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from q2a_core.checkpoint import Checkpoint
from q2a_core.evaluation.items import Item, example_row, swapped
from q2a_core.evaluation.metrics import (
    INTERVALS,
    Score,
    accuracy,
    normalise,
    word_error_rate,
)
from q2a_core.evaluation.runner import answer, decoding_in_words
from q2a_core.machine import machine_in_words
from q2a_core.progress import OnProgress, unheard
from q2a_core.world.answers import bare
from q2a_core.world.first_world.sampler import FirstSampler
from q2a_core.world.first_world.tasks import NOUNS, make_task
from q2a_core.world.render import render
from q2a_core.world.scene import SceneKind
from q2a_core.world.speech import open_or_build
from q2a_core.world.speech.utterance_book import UtteranceBook

TEST_UTTERANCES = 600
"""Phrases in the book that test clips draw from."""


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
    sampler = FirstSampler(book.utterances, "test", seed=suite.seed, kinds=(suite.kind,))
    items = []
    for index in range(count):
        scene = sampler.scene(index)
        task = make_task(scene, suite.task, scene.rng(2))
        items.append(Item(scene=scene, task=task, samples=render(scene, book).samples))
    return items


def evaluate(
    checkpoint: Checkpoint,
    *,
    count: int = 120,
    suites: tuple[Suite, ...] = FIRST_WORLD,
    device: str = "cpu",
    on_progress: OnProgress = unheard,
) -> dict[str, Any]:
    """Scores of every suite on `count` held-out clips, each beside its control with the clips swapped.

    The control keeps every question and truth and hands over another item's clip: a model that answers from the
    question alone scores the same there. Returns a JSON-ready report.
    """
    start = time.perf_counter()
    model = checkpoint.load_model(device=device)
    book = open_or_build("test", count=TEST_UTTERANCES, seed=0, level="first")
    total = 2 * count * len(suites)
    done = 0

    def tick(items: int) -> None:
        nonlocal done
        done += items
        on_progress(done, total)

    rows, examples = [], []
    for suite in suites:
        items = suite_items(suite, book, count=count)
        replies = answer(checkpoint, model, items, tick=tick)
        control = answer(checkpoint, model, swapped(items), tick=tick)
        rows.append(
            {
                "suite": suite.name,
                "metric": suite.metric,
                "score": asdict(suite.score(list(zip(items, replies, strict=True)))),
                "control": asdict(suite.score(list(zip(items, control, strict=True)))),
            }
        )
        examples += [example_row(suite.name, *pair) for pair in zip(items, replies, strict=True)]
    return {
        "checkpoint": {"name": checkpoint.name, "hash": checkpoint.hash},
        "conditions": {
            "split": "test",
            "book": book.hash[:12],
            "seeds": {suite.name: suite.seed for suite in suites},
            "decoding": decoding_in_words(checkpoint),
            "normaliser": "lower case, letters and digits",
            "intervals": INTERVALS,
            "machine": machine_in_words(
                threads=torch.get_num_threads(), torch=torch.__version__, device=device
            ),
            "seconds": round(time.perf_counter() - start, 1),
        },
        "rows": rows,
        "examples": examples,
    }


def to_markdown(report: dict[str, Any]) -> str:
    """The report as a table, with the conditions under it."""
    lines = [
        "| suite | metric | score (95 %) | clips swapped | n |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in report["rows"]:
        score, control = row["score"], row["control"]
        lines.append(
            f"| {row['suite']} | {row['metric']} | {score['value']:.1%} ({score['low']:.1%}-{score['high']:.1%}) "
            f"| {control['value']:.1%} | {score['n']} |"
        )
    checkpoint, conditions = report["checkpoint"], report["conditions"]
    lines += [
        "",
        f"Checkpoint {checkpoint['name']} ({checkpoint['hash']}); {conditions['decoding']}; ",
    ]
    lines[-1] += (
        f"split {conditions['split']}, speech {conditions['book']}; {conditions['machine']}."
    )
    return "\n".join(lines) + "\n"
