"""Preference pairs about what is in a clip and what is not: the true answer is preferred to the false one."""

from collections.abc import Sequence

from q2a_core.text import user_message
from q2a_core.training.preference.own_pairs import OwnPair, clip_name
from q2a_core.training.preference.pair_file import PreferencePair
from q2a_core.world.absent_things import ThingAsked, things_asked


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


def absent_pairs(count: int, *, seed: int) -> list[PreferencePair]:
    """`count` pairs about training clips that prefer "no" where the thing is not there.

    A person who hears "yes, there is a ..." of nothing minds it more than a sound that was missed, and the model seldom
    draws that reply when it is asked only a few times.
    """
    absent = [
        thing for thing in things_asked(2 * count, split="train", seed=seed) if not thing.is_there
    ]
    return [
        PreferencePair(
            prompt=(user_message(thing.question, clips=1),),
            samples=thing.samples,
            chosen=thing.true,
            rejected=thing.false,
        )
        for thing in absent
    ]
