"""Preference pairs about what is in a clip and what is not: the true answer is preferred to the false one."""

from collections.abc import Sequence

from q2a_core.training.own_pairs import OwnPair, clip_name
from q2a_core.world.absent_things import ThingAsked


def thing_pairs(things: Sequence[ThingAsked]) -> list[OwnPair]:
    """A pair for each question."""
    return [
        OwnPair(
            clip=clip_name(thing.samples),
            samples=thing.samples,
            prompt=thing.question,
            chosen=thing.true,
            rejected=thing.false,
        )
        for thing in things
    ]
