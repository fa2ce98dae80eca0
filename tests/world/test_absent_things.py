"""Questions for what is and is not in a clip, and the pairs made of them."""

import numpy as np
import pytest

from q2a_core.training.preference.own_pairs import write_pairs
from q2a_core.training.preference.pair_file import read_pairs
from q2a_core.training.preference.thing_pairs import absent_pairs, thing_pairs
from q2a_core.world import answers
from q2a_core.world.absent_things import things_asked
from q2a_core.world.sampler import GrownSampler
from q2a_core.world.tasks import ask


def test_they_alternate_and_are_the_same_again():
    things = things_asked(8)
    assert [thing.is_there for thing in things] == [False, True] * 4
    for absent, present in zip(things[::2], things[1::2], strict=True):
        np.testing.assert_array_equal(absent.samples, present.samples)
        assert absent.noun != present.noun
    again = things_asked(8)
    assert [t.question for t in things] == [t.question for t in again]
    np.testing.assert_array_equal(things[6].samples, again[6].samples)


def test_answers_are_true_and_false():
    for thing in things_asked(6):
        assert thing.noun in thing.question
        assert thing.true.startswith("Yes" if thing.is_there else "No")
        assert thing.false.startswith("No" if thing.is_there else "Yes")


@pytest.mark.parametrize("label", ["crow", "owl", "duck", "rooster", "bird"])
def test_who_hears_a_crow_hears_a_bird(label):
    sampler = GrownSampler((), "test", seed=0, stage="suites", kinds=("sound",), ramp=0)
    scenes = (sampler.scene(index) for index in range(2000))
    scene = next(scene for scene in scenes if scene.events[0].label == label)
    assert answers.is_there_answer(scene, "a bird") == "Yes, there is a bird."
    assert answers.is_there_answer(scene, "a dog") == "No, there is no dog."
    rng = np.random.default_rng(0)
    asked = {ask(scene, "is_there", rng, lambda _, what: what).answer for _ in range(500)}
    assert answers.no_there_is_not("a bird") not in asked
    assert len(asked) > 20, "of much else it is asked"


def test_training_and_test_have_other_clips():
    train = things_asked(4, split="train")
    assert not any(
        len(a.samples) == len(b.samples) and np.array_equal(a.samples, b.samples)
        for a in train
        for b in things_asked(4)
    )


def test_pairs_prefer_the_truth(tmp_path):
    things = things_asked(4, split="train")
    pairs = read_pairs(write_pairs(thing_pairs(things), tmp_path))
    assert [(p.chosen, p.rejected) for p in pairs] == [(t.true, t.false) for t in things]
    np.testing.assert_allclose(pairs[0].waveform(), things[0].samples, atol=1e-4)


def test_absent_pairs_prefer_no_about_training_clips():
    pairs = absent_pairs(6, seed=3)
    assert len(pairs) == 6
    assert len({pair.hash() for pair in pairs}) == 6
    asked = {thing.question for thing in things_asked(12, split="train", seed=3)}
    for pair in pairs:
        assert pair.chosen.startswith("No")
        assert pair.rejected.startswith("Yes")
        assert pair.prompt[0]["content"][-1]["text"] in asked
    assert [pair.hash() for pair in absent_pairs(6, seed=3)] == [pair.hash() for pair in pairs]
    assert {pair.hash() for pair in absent_pairs(6, seed=4)} != {pair.hash() for pair in pairs}
