"""The mini Table 2: what the grown world asks on held-out voices, sentences, sounds and rooms, and how it is scored.

Each suite draws its scenes from the test split with its own seed, and asks in the official wording or one that
training never saw. A reply is scored by words, by labels or by the judge, always against the scene.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count as count_from
from itertools import islice
from typing import Any

import numpy as np

from q2a_core.errors import Q2AError
from q2a_core.evaluation.bleu import bleu
from q2a_core.evaluation.items import Item
from q2a_core.evaluation.metrics import (
    FALSE_YES,
    Score,
    accuracy,
    character_error_rate,
    mean,
    word_error_rate,
)
from q2a_core.world.answers import noun_of
from q2a_core.world.judge import WRONG_MAIN, judge
from q2a_core.world.prompts import LANGUAGE_NAMES, prompt_for
from q2a_core.world.render import render
from q2a_core.world.sampler import GrownSampler
from q2a_core.world.scene import Scene, SceneKind
from q2a_core.world.speech.utterance_book import UtteranceBook
from q2a_core.world.speech.utterances import Utterance
from q2a_core.world.task import Task, compose
from q2a_core.world.tasks import ask, sample_grown_task, voice_chat

TEST_UTTERANCES = 1500
"""Phrases in the book that the mini suites draw from."""
RIGHT = 2 * WRONG_MAIN
"""Judge's points above which a reply counts as right."""
ALL_RIGHT = 9.0
"""Points of a reply in which nothing is wrong."""
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


def _asked(name: str) -> Callable[[Scene, np.random.Generator], Task]:
    """The written question `name`, in a wording of the test split."""

    def pose(scene: Scene, rng: np.random.Generator) -> Task:
        return ask(
            scene, name, rng, lambda task, what: prompt_for(task, rng, split="test", what=what)
        )

    return pose


def _sampled(scene: Scene, rng: np.random.Generator) -> Task:
    return sample_grown_task(scene, rng, stage="sft")


def _clean(scene: Scene) -> Scene:
    return replace(scene, background=None, strength=0.0)


def _in_noise(scene: Scene) -> Scene:
    return replace(scene, background="babble", snr_db=5.0, strength=0.0)


def _speaks(language: str) -> Callable[[Scene], bool]:
    def fits(scene: Scene) -> bool:
        speech = scene.first("speech")
        return (
            speech is not None and speech.spoken is not None and speech.spoken.language == language
        )

    return fits


def _translates(source: str, target: str) -> Callable[[Scene], bool]:
    """Sentences of at least four words or characters: BLEU counts runs of four."""
    speaks = _speaks(source)

    def fits(scene: Scene) -> bool:
        if not speaks(scene):
            return False
        speech = scene.first("speech")
        assert speech is not None
        assert speech.spoken is not None
        text = speech.spoken.translation(target)
        return text is not None and len(text if target == "zh" else text.split()) >= 4

    return fits


def _translate_to(target: str) -> Callable[[Scene, np.random.Generator], Task]:
    def pose(scene: Scene, rng: np.random.Generator) -> Task:
        speech = scene.first("speech")
        assert speech is not None
        assert speech.spoken is not None
        answer = speech.spoken.translation(target) or ""
        question = prompt_for("translate", rng, split="test", what=LANGUAGE_NAMES[target])
        return compose("translate", (question, answer))

    return pose


def _pairs(answered: Answered) -> list[tuple[str, str]]:
    return [(item.task.answer, reply) for item, reply in answered]


def _judged(answered: Answered) -> Score:
    return mean([judge(item.scene, item.task, reply).score for item, reply in answered])


def _share(hits: Callable[[Answered], list[bool]]) -> dict[str, Any]:
    """A suite's fields for a figure that is the share of hits."""
    return {"hits": hits, "score": lambda answered: accuracy(hits(answered))}


def rights(answered: Answered) -> list[bool]:
    """Which replies the judge takes for right."""
    return [judge(item.scene, item.task, reply).score > RIGHT for item, reply in answered]


def all_right(answered: Answered) -> list[bool]:
    """Which replies have nothing wrong: of a transcript every word."""
    return [judge(item.scene, item.task, reply).score >= ALL_RIGHT for item, reply in answered]


def kind_of_reply(reply: str) -> str:
    """What a reply does: acknowledges speech, answers yes or no, counts, or describes."""
    text = reply.lower()
    if text.startswith(("you said", "you sound", "du sagst")) or text.startswith("你说"):
        return "acknowledge"
    if text.startswith(("yes", "no,")):
        return "yes_no"
    if text.startswith("it happens"):
        return "count"
    if text.startswith("first i hear"):
        return "first"
    if text.startswith(("the speaker", "i hear only a voice")):
        return "person"
    return "describe"


def _right_kinds(answered: Answered) -> list[bool]:
    return [kind_of_reply(r) == kind_of_reply(i.task.answer) for i, r in answered]


def _says_yes(answered: Answered) -> list[bool]:
    return [reply.lower().startswith("yes") for _, reply in answered]


def _ask_for_absent(scene: Scene, rng: np.random.Generator) -> Task:
    """Asked for a thing that is not in the clip."""
    while True:
        task = _asked("is_there")(scene, rng)
        if task.answer.startswith("No"):
            return task


def _plain_emotion(scene: Scene) -> bool:
    return _speaks("en")(scene)


def _one_other(scene: Scene) -> bool:
    """Speech with one sound that has a name of its own."""
    return len({noun_of(event) for event in scene.events}) == 2


def _wer(answered: Answered) -> Score:
    return word_error_rate(_pairs(answered), language="en")


def _cer(language: str) -> Callable[[Answered], Score]:
    return lambda answered: character_error_rate(_pairs(answered), language=language)


def _bleu(language: str) -> Callable[[Answered], Score]:
    return lambda answered: bleu(_pairs(answered), language=language)


def _recognition(name: str, seed: int, language: str, score, stage_of) -> MiniSuite:
    return MiniSuite(
        name=name,
        metric="WER" if language == "en" else "CER",
        seed=seed,
        kinds=("speech",),
        pose=_asked("transcribe"),
        score=score,
        fits=_speaks(language),
        stage_of=stage_of,
    )


def _translation(seed: int, source: str, target: str) -> MiniSuite:
    return MiniSuite(
        name=f"translation {source}-{target}",
        metric="BLEU",
        seed=seed,
        kinds=("speech",),
        pose=_translate_to(target),
        score=_bleu(target),
        fits=_translates(source, target),
    )


CHAT = "mini AIR-Bench, "
"""What the names of the chat suites begin with; the category follows."""


def _chat(name: str, seed: int, kinds: tuple[SceneKind, ...]) -> MiniSuite:
    return MiniSuite(
        name=CHAT + name,
        metric="judge 0-10",
        seed=seed,
        kinds=kinds,
        pose=_sampled,
        score=_judged,
    )


def _labelled(
    name: str, seed: int, kinds: tuple[SceneKind, ...], task: str, fits=lambda s: True
) -> MiniSuite:
    return MiniSuite(
        name=name,
        metric="accuracy",
        seed=seed,
        kinds=kinds,
        pose=_asked(task),
        **_share(rights),
        fits=fits,
    )


MINI_SUITES = (
    _recognition("recognition", 201, "en", _wer, _clean),
    _recognition("recognition at 5 dB", 202, "en", _wer, _in_noise),
    _recognition("recognition, German", 203, "de", _cer("de"), _clean),
    _recognition("recognition, Chinese", 204, "zh", _cer("zh"), _clean),
    _translation(205, "en", "de"),
    _translation(206, "de", "en"),
    _translation(207, "en", "zh"),
    _translation(208, "zh", "en"),
    _labelled("emotion", 209, ("speech",), "emotion", _plain_emotion),
    _labelled("vocal sound", 210, ("vocal",), "vocal"),
    _labelled("everyday sound", 211, ("sound",), "name_sound"),
    _labelled("sound in mixtures", 212, ("mixed",), "name_sound", _one_other),
    MiniSuite(
        name="mode: kind of reply",
        metric="accuracy",
        seed=213,
        kinds=("speech", "sound", "music", "question", "sounds"),
        pose=lambda scene, rng: voice_chat(scene),
        **_share(_right_kinds),
    ),
    MiniSuite(
        name="false yes",
        metric=FALSE_YES,
        seed=214,
        kinds=("sound", "vocal", "music", "mixed", "sounds"),
        pose=_ask_for_absent,
        **_share(_says_yes),
    ),
    _chat("speech", 221, ("speech",)),
    _chat("sound", 222, ("sound", "vocal", "sounds")),
    _chat("music", 223, ("music",)),
    _chat("mixed", 224, ("mixed", "question")),
)
"""The suites of the grown world."""


def suites_named(names: list[str]) -> tuple[MiniSuite, ...]:
    """These suites in the table's order; raises Q2AError for a name that none has."""
    known = [suite.name for suite in MINI_SUITES]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Q2AError(f"no suite is called {unknown[0]!r}; known: {'; '.join(known)}")
    return tuple(suite for suite in MINI_SUITES if suite.name in names)
