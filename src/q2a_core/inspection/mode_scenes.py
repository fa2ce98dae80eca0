"""Clips for the mode probe, made from the mini world: two classes that differ in what the model is to do with them.

No prompt tells the model which mode it is in (arXiv 2407.10759, section 2), so it has to notice. Three pairs of classes
ask how: is there a written question, is there a spoken one, and is what is spoken a question at all. The last has the
same make-up on both sides, a sound and then English speech, so that neither length nor speech gives it away.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from q2a_core.progress import OnProgress, unheard
from q2a_core.world.prompts import prompt_for
from q2a_core.world.render import render
from q2a_core.world.sampler import GrownSampler
from q2a_core.world.scene import Scene, SceneKind
from q2a_core.world.speech import UtteranceBook, open_or_build

BOOK_UTTERANCES = 400
"""Test utterances that the clips draw from."""
HEARD: tuple[SceneKind, ...] = ("sound", "vocal", "music", "sounds")
"""Scenes in which nobody speaks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModeTask:
    """Two classes that a probe is to tell apart."""

    name: str
    title: str
    classes: tuple[str, str]
    """What class 0 and class 1 are."""
    needs_speech: bool
    caution: str
    """What else than the mode differs between the classes."""


MODE_TASKS: dict[str, ModeTask] = {
    task.name: task
    for task in (
        ModeTask(
            name="text",
            title="Voice chat or audio analysis",
            classes=("voice chat", "audio analysis"),
            needs_speech=False,
            caution="The prompts differ by a written question, so one look back at the text is enough. The embedding "
            "of the last position is the same in both: the first point has to lie at chance.",
        ),
        ModeTask(
            name="question",
            title="No text: a sound or a spoken question",
            classes=("sound clip", "spoken question"),
            needs_speech=True,
            caution="Clips with a question are longer and hold a voice: hearing that somebody speaks would do.",
        ),
        ModeTask(
            name="statement",
            title="No text: a spoken statement or a spoken question",
            classes=("spoken statement", "spoken question"),
            needs_speech=True,
            caution="Both are a sound and then English speech; the words and their melody differ.",
        ),
    )
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ModeClip:
    """One example: a clip and what is written to it."""

    samples: np.ndarray
    """float32 (S,) at 16 kHz."""
    text: str | None
    label: int
    """0 or 1, as `ModeTask.classes` has them."""
    group: str
    """Examples of one group must not lie on both sides of a cut: the same clip, the same spoken words."""


def probe_book(on_progress: OnProgress = unheard) -> UtteranceBook:
    """The test utterances that the clips draw from, spoken now if they are not in the cache. Raises SpeechError."""
    return open_or_build("test", count=BOOK_UTTERANCES, seed=0, on_progress=on_progress)


def mode_clips(
    task: ModeTask,
    *,
    count: int,
    seed: int,
    book: UtteranceBook | None,
    on_progress: OnProgress = unheard,
) -> list[ModeClip]:
    """`count` examples, half of each class, of voices and wordings that training never heard.

    The same arguments give the same clips. Without a `book` of test utterances only "text" can be made, of sounds
    alone. `on_progress(done, total)` counts examples. Raises ValueError without the book that a task needs.
    """
    if book is None and task.needs_speech:
        raise ValueError(f"the task {task.name!r} needs speech; pass a book of test utterances")
    clips: list[ModeClip] = []
    if task.name == "text":
        kinds: tuple[SceneKind, ...] = (
            HEARD[:3] if book is None else (*HEARD[:3], "speech", "mixed")
        )
        made: Iterator[ModeClip] = _asked_and_not(_scenes(kinds, seed, book), book)
    else:
        other = ("mixed",) if task.name == "statement" else HEARD
        fits = _sound_then_english if task.name == "statement" else _any
        made = _alternating(
            _scenes(other, seed, book, fits), _scenes(("question",), seed, book, fits), book
        )
    while len(clips) < count:
        clips.append(next(made))
        on_progress(len(clips), count)
    return clips


def _asked_and_not(scenes: Iterator[Scene], book: UtteranceBook | None) -> Iterator[ModeClip]:
    """Each clip twice: alone, and with a written question that fits it."""
    for scene in scenes:
        samples, group = render(scene, book).samples, f"clip {scene.index}"
        yield ModeClip(samples=samples, text=None, label=0, group=group)
        yield ModeClip(samples=samples, text=_question(scene), label=1, group=group)


def _alternating(
    others: Iterator[Scene], asking: Iterator[Scene], book: UtteranceBook | None
) -> Iterator[ModeClip]:
    while True:
        for label, scenes in enumerate((others, asking)):
            scene = next(scenes)
            speech = scene.first("speech")
            group = f"clip {scene.index}" if speech is None else speech.label
            samples = render(scene, book).samples
            yield ModeClip(samples=samples, text=None, label=label, group=group)


def _scenes(
    kinds: tuple[SceneKind, ...],
    seed: int,
    book: UtteranceBook | None,
    fits: Callable[[Scene], bool] | None = None,
) -> Iterator[Scene]:
    utterances = () if book is None else book.utterances
    sampler = GrownSampler(utterances, "test", seed=seed, stage="suites", kinds=kinds)
    index = 0
    while True:
        scene = sampler.scene(index)
        if fits is None or fits(scene):
            yield scene
        index += 1


def _any(scene: Scene) -> bool:
    return True


def _sound_then_english(scene: Scene) -> bool:
    """One sound, then English speech, one after the other."""
    speech = scene.events[-1]
    return (
        len(scene.events) == 2
        and not scene.overlap
        and speech.spoken is not None
        and speech.spoken.language == "en"
    )


def _question(scene: Scene) -> str:
    """A written question, in a wording of the test split."""
    rng = scene.rng(3)
    speech = scene.first("speech")
    names = ["caption"]
    names += ["transcribe"] if speech is not None else []
    names += ["name_sound"] if any(event.kind != "speech" for event in scene.events) else []
    language = speech.spoken.language if speech is not None and speech.spoken else "en"
    return prompt_for(names[int(rng.integers(len(names)))], rng, split="test", what=language)
