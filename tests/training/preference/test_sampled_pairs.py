"""Pairs from the model's own replies: the judge decides, and what the model would say by itself is corrected first."""

import numpy as np
import pytest
import torch

from q2a_core.training.preference import sampled_pairs
from q2a_core.training.preference.sampled_pairs import (
    Sampling,
    best_and_worst,
    sample_pairs,
    sample_replies,
)
from q2a_core.world.corpus import Example
from q2a_core.world.scene import Event, Scene
from q2a_core.world.task import compose

TRUE, CLOSE, WRONG = "No, there is no dog.", "No.", "Yes, there is a dog."


def _example(name: str = "is_there") -> Example:
    scene = Scene(
        kind="sound",
        split="train",
        seed=0,
        index=0,
        events=(Event(kind="sound", label="cat", count=2, seed=1),),
    )
    task = compose(name, ("Is there a dog?", TRUE))
    return Example(scene=scene, task=task, samples=np.zeros(8000, np.float32), transcript="")


def test_a_wrong_greedy_reply_is_corrected_by_the_best_one_drawn():
    pair = best_and_worst(_example(), [WRONG, TRUE, WRONG, WRONG])
    assert (pair.chosen, pair.rejected) == (TRUE, WRONG)


def test_the_truth_stands_in_where_no_reply_is_good():
    pair = best_and_worst(_example(), [WRONG, WRONG, "It rains.", WRONG])
    assert (pair.chosen, pair.rejected) == (TRUE, WRONG)


def test_a_right_greedy_reply_is_set_against_the_worst_one():
    pair = best_and_worst(_example(), [TRUE, CLOSE, WRONG, TRUE])
    assert (pair.chosen, pair.rejected) == (TRUE, WRONG)


@pytest.mark.parametrize("replies", [[TRUE] * 4, [TRUE, CLOSE, TRUE, TRUE], ["", "", "", ""]])
def test_no_pair_where_nothing_is_to_be_learnt(replies):
    assert best_and_worst(_example(), replies) is None


class _Corpus:
    def example(self, index: int) -> Example:
        return _example()


@pytest.mark.parametrize(
    ("replies", "found"),
    [([TRUE, WRONG], 2), ([WRONG, TRUE], 8)],
    ids=["greedy is right", "greedy is wrong"],
)
def test_most_pairs_correct_what_the_model_says_by_itself(monkeypatch, replies, found):
    asked = []

    def drawn(model, chat_format, examples, sampling, generator, *, worth):
        asked.extend(examples)
        return [replies if worth(example, replies[0]) else replies[:1] for example in examples]

    monkeypatch.setattr(sampled_pairs, "sample_replies", drawn)
    pairs = sample_pairs(None, None, _Corpus(), count=8, sampling=Sampling(batch_size=4))
    assert len(pairs) == found
    assert len(asked) == (8 if found == 8 else 8 * sampled_pairs.PATIENCE)


def test_others_are_drawn_where_they_are_worth_it(tiny_model, chat_format):
    examples = [_example(), _example(), _example()]

    def drawn(worth) -> list[list[str]]:
        generator = torch.Generator().manual_seed(5)
        return sample_replies(tiny_model, chat_format, examples, Sampling(), generator, worth=worth)

    replies = drawn(lambda example, greedy: example is examples[1])
    assert [len(each) for each in replies] == [1, 4, 1]
    assert replies == drawn(lambda example, greedy: example is examples[1])
    everywhere = drawn(lambda example, greedy: True)
    assert [len(each) for each in everywhere] == [4, 4, 4]
    assert [each[0] for each in everywhere] == [each[0] for each in replies]
    assert len(set(everywhere[0])) > 1, "they are sampled"
