"""The corpus: example `index` of (split, seed), made when it is asked for."""

from dataclasses import dataclass

import numpy as np

from q2a_core.world.dialogues import Task, greeting, sample_task
from q2a_core.world.mixtures import GrownSampler
from q2a_core.world.render import render
from q2a_core.world.sampler import SceneSampler
from q2a_core.world.scene import Scene, SceneKind
from q2a_core.world.scene_shares import RAMP
from q2a_core.world.speech.levels import Level
from q2a_core.world.speech.utterance_book import UtteranceBook
from q2a_core.world.speech.voices import Split
from q2a_core.world.tasks import Stage, sample_grown_task

GREETING_SHARE = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One clip with one dialogue about it."""

    scene: Scene
    task: Task
    samples: np.ndarray | None  # float32 (S,), 16 kHz; None for a dialogue without a clip
    transcript: str  # all that is said in the clip


class Corpus:
    """Examples of one split; nothing is stored but the utterances, and any index can be asked for again."""

    def __init__(
        self,
        book: UtteranceBook,
        split: Split,
        *,
        seed: int = 0,
        kinds: tuple[SceneKind, ...] = (),
        level: Level = "first",
        stage: Stage = "pretrain",
        tags: bool = False,
        ramp: int = RAMP,
    ):
        self.book = book
        self.level: Level = level
        self.stage: Stage = stage
        self.tags = tags
        if level == "first":
            self.sampler = SceneSampler(book, split, seed=seed, kinds=kinds)
        else:
            self.sampler = GrownSampler(book, split, seed=seed, stage=stage, kinds=kinds, ramp=ramp)

    def example(self, index: int) -> Example:
        """Example `index`: scene, clip and a dialogue drawn for it."""
        scene = self.sampler.scene(index)
        rng = scene.rng(2)
        if self.level == "first" and rng.random() < GREETING_SHARE and scene.split == "train":
            return Example(scene=scene, task=greeting(rng), samples=None, transcript="")
        if self.level == "first":
            task = sample_task(scene, rng)
        else:
            task = sample_grown_task(scene, rng, stage=self.stage, tags=self.tags)
        if task.name == "greet":
            return Example(scene=scene, task=task, samples=None, transcript="")
        clip = render(scene, self.book)
        return Example(scene=scene, task=task, samples=clip.samples, transcript=scene.transcript)
