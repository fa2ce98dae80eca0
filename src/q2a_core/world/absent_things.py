"""Clips without speech, each with a question for a thing that is in it and one for a thing that is not.

Where the paper's model says yes to what is not there, people call it a hallucination (section 2, DPO); these clips make
it, and what would be true, countable. Nothing has to be spoken, so they are made in a moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from q2a_core.world import answers
from q2a_core.world.prompts import prompt_for
from q2a_core.world.render import render
from q2a_core.world.sampler import GrownSampler
from q2a_core.world.scene import SceneKind
from q2a_core.world.speech.voices import Split

KINDS: tuple[SceneKind, ...] = ("sound", "vocal", "sounds")
SEED = 51_000
"""Keeps these scenes apart from those of training and of the test suites."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ThingAsked:
    """One question about one clip, with both answers that can be given."""

    samples: np.ndarray
    """float32 (S,) at 16 kHz."""
    question: str
    noun: str
    is_there: bool
    true: str
    false: str


def things_asked(count: int, *, split: Split = "test", seed: int = 0) -> list[ThingAsked]:
    """`count` questions, in turn for a thing that is not there and for one that is; two to a clip.

    Training and test clips have different sounds, rooms and wordings. The same arguments give the same list.
    """
    made = _endless(split, seed)
    return [next(made) for _ in range(count)]


def _endless(split: Split, seed: int) -> Iterator[ThingAsked]:
    sampler = GrownSampler((), split, seed=SEED + seed, stage="suites", kinds=KINDS, ramp=0)
    index = 0
    while True:
        scene = sampler.scene(index)
        index += 1
        samples = render(scene, None).samples
        rng = scene.rng(4)
        heard = [answers.noun_of(event) for event in scene.events]
        true = answers.nouns_of(scene)
        others = [noun for noun in answers.NOUNS.values() if noun not in true]
        absent = others[int(rng.integers(len(others)))]
        present = heard[int(rng.integers(len(heard)))]
        for noun, is_there in ((absent, False), (present, True)):
            yes, no = answers.yes_there_is(noun), answers.no_there_is_not(noun)
            yield ThingAsked(
                samples=samples,
                question=prompt_for("is_there", rng, split=split, what=noun),
                noun=noun,
                is_there=is_there,
                true=yes if is_there else no,
                false=no if is_there else yes,
            )
