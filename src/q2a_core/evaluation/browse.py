"""The test clips one by one: what is in each, what was asked, what was answered, and what the judge says to it.

Scene, question and truth follow from the plan of the test speech alone, so they can be read and judged where nothing
can be spoken. To hear a clip the speech must be there: `hear` renders it from the book.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from q2a_core.evaluation.items import Item
from q2a_core.evaluation.mini_scores import RIGHT
from q2a_core.evaluation.mini_suite import TEST_UTTERANCES, mini_scenes
from q2a_core.evaluation.mini_suites import MINI_SUITES
from q2a_core.evaluation.scoreboard import Report
from q2a_core.world.judge import judge
from q2a_core.world.render import render
from q2a_core.world.scene import Event, Scene
from q2a_core.world.speech.levels import plan_utterances
from q2a_core.world.speech.utterance_book import UtteranceBook
from q2a_core.world.speech.utterances import Utterance
from q2a_core.world.task import Task

if TYPE_CHECKING:
    from q2a_core.checkpoint import Checkpoint
    from q2a_core.model import Qwen2Audio

SUITES = {suite.name: suite for suite in MINI_SUITES}
"""Suites by name."""
LARGEST_NUMBER = 99
"""Of an example; a suite has no last one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One example of a suite, not yet heard."""

    suite: str
    number: int
    scene: Scene
    task: Task

    @property
    def text(self) -> str | None:
        """The last question in words; None where the clip comes alone."""
        return _text(self.task)

    @property
    def truth(self) -> str:
        return self.task.answer


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedReply:
    """One checkpoint's reply and the judge's verdict on it."""

    checkpoint: str
    hash: str
    reply: str
    points: float  # 0 to 10
    reasons: tuple[str, ...]
    live: bool
    """Answered now, not when the report was written."""

    @property
    def right(self) -> bool:
        """More points than a wrong main fact leaves twice over."""
        return self.points > RIGHT


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A question with all replies that were recorded."""

    question: Question
    said: tuple[JudgedReply, ...]


def planned() -> list[Utterance]:
    """What the test speakers say, planned and not spoken: enough for scenes, questions and truths."""
    return plan_utterances("test", count=TEST_UTTERANCES, seed=0)


def question(suite: str, number: int, utterances: Sequence[Utterance]) -> Question:
    """Example `number` of a suite, counted from 0; KeyError for an unknown suite."""
    return questions(suite, number + 1, utterances)[number]


def questions(suite: str, count: int, utterances: Sequence[Utterance]) -> list[Question]:
    """The first `count` examples of a suite."""
    drawn = islice(mini_scenes(SUITES[suite], utterances), count)
    return [
        Question(suite=suite, number=number, scene=scene, task=task)
        for number, (scene, task) in enumerate(drawn)
    ]


def recorded_examples(reports: Sequence[Report], utterances: Sequence[Utterance]) -> list[Example]:
    """Every example in the reports that is one of ours, with its replies judged; suites in their order."""
    found = []
    for suite in SUITES:
        listed = [[row for row in report.examples if row["suite"] == suite] for report in reports]
        for asked in questions(suite, max(map(len, listed), default=0), utterances):
            said = [
                judged(asked, report.name, report.hash, rows[asked.number]["reply"])
                for report, rows in zip(reports, listed, strict=True)
                if asked.number < len(rows) and _is_same(rows[asked.number], asked)
            ]
            found += [Example(question=asked, said=tuple(said))] if said else []
    return found


def left_out(reports: Sequence[Report], found: Sequence[Example]) -> int:
    """Recorded replies of our suites that are in none of the examples: the world asked something else then."""
    rows = sum(row["suite"] in SUITES for report in reports for row in report.examples)
    return rows - sum(len(example.said) for example in found)


def judged(
    asked: Question, checkpoint: str, hash_: str, reply: str, *, live: bool = False
) -> JudgedReply:
    """A reply with the judge's points and reasons."""
    verdict = judge(asked.scene, asked.task, reply)
    return JudgedReply(
        checkpoint=checkpoint,
        hash=hash_,
        reply=reply,
        points=verdict.score,
        reasons=verdict.reasons,
        live=live,
    )


def hear(asked: Question, book: UtteranceBook) -> Item:
    """The example with its clip, made again from a spoken book."""
    samples = render(asked.scene, book).samples
    return Item(scene=asked.scene, task=asked.task, samples=samples)


def ask_live(
    asked: Question, item: Item, checkpoint: "Checkpoint", model: "Qwen2Audio"
) -> JudgedReply:
    """What a checkpoint answers now, decoded as the evaluation decodes."""
    from q2a_core.evaluation.runner import answer

    reply = answer(checkpoint, model, [item])[0]
    return judged(asked, checkpoint.name, checkpoint.hash, reply, live=True)


def in_the_clip(scene: Scene) -> list[str]:
    """What really is in a scene, an entry for each event, and what lies under them."""
    entries = [_event(event) for event in scene.events] or [scene.kind]
    if scene.background and scene.events:
        entries.append(f"{scene.background} noise, {scene.snr_db:.0f} dB below")
    return entries


def _event(event: Event) -> str:
    if event.kind == "speech":
        who = event.spoken
        text = f"“{event.label}”"
        return text if who is None else f"{text}, {who.trait}, {who.emotion}, {who.language}"
    if event.tune is not None:
        tune = event.tune
        named = [f"{tune.tempo_bpm:.0f} bpm", *(x for x in (tune.mode, tune.mood) if x)]
        return f"music: {tune.instrument}, {', '.join(named)}"
    name = event.label.replace("_", " ")
    return name if event.count is None else f"{name}, {event.count} times"


def _text(task: Task) -> str | None:
    return [part.get("text") for part in task.prompt[-1]["content"]][-1]


def _is_same(row: dict[str, Any], asked: Question) -> bool:
    """Whether a recorded row is of this very clip and question."""
    return (
        row["clip"] == asked.scene.index
        and row["question"] == asked.text
        and row["true"] == asked.truth
    )
