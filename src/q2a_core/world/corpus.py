"""The corpus: example `index` of (split, seed), made when it is asked for."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from q2a_core.world.first_world.sampler import FirstSampler
from q2a_core.world.first_world.tasks import sample_dialogue
from q2a_core.world.render import render
from q2a_core.world.sampler import GrownSampler
from q2a_core.world.scene import Scene, SceneKind
from q2a_core.world.scene_shares import RAMP
from q2a_core.world.speech.levels import Level
from q2a_core.world.speech.utterance_book import UtteranceBook
from q2a_core.world.speech.voices import Split
from q2a_core.world.task import Task
from q2a_core.world.tasks import Stage, sample_grown_task


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
        level: Level = "grown",
        stage: Stage = "pretrain",
        tags: bool = False,
        ramp: int = RAMP,
    ):
        self.book = book
        self.split: Split = split
        self.seed = seed
        self.kinds = kinds
        self.level: Level = level
        self.stage: Stage = stage
        self.tags = tags
        self.ramp = ramp

    @cached_property
    def sampler(self) -> GrownSampler | FirstSampler:
        """What draws the scenes."""
        spoken, seed, kinds = self.book.utterances, self.seed, self.kinds
        if self.level == "first":
            return FirstSampler(spoken, self.split, seed=seed, kinds=kinds)
        return GrownSampler(
            spoken, self.split, seed=seed, stage=self.stage, kinds=kinds, ramp=self.ramp
        )

    def __getstate__(self) -> dict[str, Any]:
        # the sampler holds every utterance; a spawned worker has them from the book, which goes by its path
        return {name: value for name, value in vars(self).items() if name != "sampler"}

    def example(self, index: int) -> Example:
        """Example `index`: scene, clip and a dialogue drawn for it."""
        scene = self.sampler.scene(index)
        rng = scene.rng(2)
        if self.level == "first":
            task = sample_dialogue(scene, rng)
        else:
            task = sample_grown_task(scene, rng, stage=self.stage, tags=self.tags)
        if task.name == "greet":
            return Example(scene=scene, task=task, samples=None, transcript="")
        clip = render(scene, self.book)
        return Example(scene=scene, task=task, samples=clip.samples, transcript=scene.transcript)
