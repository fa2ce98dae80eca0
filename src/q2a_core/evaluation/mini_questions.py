"""What the mini Table 2 asks, of which scenes, and how it records them: questions in wordings of the test split."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from q2a_core.world.answers import noun_of
from q2a_core.world.prompts import LANGUAGE_NAMES, prompt_for
from q2a_core.world.scene import Scene
from q2a_core.world.speech.utterances import Utterance
from q2a_core.world.task import Task, compose
from q2a_core.world.tasks import ask, sample_grown_task

Question = Callable[[Scene, np.random.Generator], Task]


def asked(name: str) -> Question:
    """The written question `name`, in a wording of the test split."""

    def pose(scene: Scene, rng: np.random.Generator) -> Task:
        return ask(
            scene, name, rng, lambda task, what: prompt_for(task, rng, split="test", what=what)
        )

    return pose


def sampled(scene: Scene, rng: np.random.Generator) -> Task:
    """Whatever fine-tuning asks of such a scene."""
    return sample_grown_task(scene, rng, stage="sft")


def asked_for_absent(scene: Scene, rng: np.random.Generator) -> Task:
    """Asked for a thing that is not in the clip."""
    while True:
        task = asked("is_there")(scene, rng)
        if task.answer.startswith("No"):
            return task


def translate_to(target: str) -> Question:
    """What is said, in another language."""

    def pose(scene: Scene, rng: np.random.Generator) -> Task:
        spoken = _spoken(scene)
        answer = (spoken and spoken.translation(target)) or ""
        question = prompt_for("translate", rng, split="test", what=LANGUAGE_NAMES[target])
        return compose("translate", (question, answer))

    return pose


def speaks(language: str) -> Callable[[Scene], bool]:
    """Scenes in which this language is spoken."""

    def fits(scene: Scene) -> bool:
        spoken = _spoken(scene)
        return spoken is not None and spoken.language == language

    return fits


def translates(source: str, target: str) -> Callable[[Scene], bool]:
    """Sentences of at least four words or characters: BLEU counts runs of four."""

    def fits(scene: Scene) -> bool:
        spoken = _spoken(scene)
        if spoken is None or spoken.language != source:
            return False
        text = spoken.translation(target)
        return text is not None and len(text if target == "zh" else text.split()) >= 4

    return fits


def one_other(scene: Scene) -> bool:
    """Speech with one sound that has a name of its own."""
    return len({noun_of(event) for event in scene.events}) == 2


def clean(scene: Scene) -> Scene:
    """Recorded without background or room."""
    return replace(scene, background=None, strength=0.0)


def in_noise(scene: Scene) -> Scene:
    """Recorded among other voices at 5 dB."""
    return replace(scene, background="babble", snr_db=5.0, strength=0.0)


def _spoken(scene: Scene) -> Utterance | None:
    speech = scene.first("speech")
    return None if speech is None else speech.spoken
