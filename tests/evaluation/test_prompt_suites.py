"""Prompts against tags: what is seen and unseen is so by the tables of training, and a perfect listener is right."""

from types import SimpleNamespace

import numpy as np
import pytest

from q2a_core.evaluation.mini_suite import mini_items
from q2a_core.evaluation.prompt_suites import KINDS, prompt_suites, trained_on_tags
from q2a_core.world.sampler import GrownSampler
from q2a_core.world.speech import build_book, plan_utterances
from q2a_core.world.tasks import (
    ASKABLE,
    PRETRAIN_SHARES,
    asked_tasks,
    sample_grown_task,
    unasked_tasks,
)
from q2a_core.world.wordings import PROMPTS


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    pytest.importorskip("espeakng_loader")
    plan = plan_utterances("test", count=120, seed=0)
    return build_book(plan, tmp_path_factory.mktemp("grown-test"), workers=1)


def question(item) -> str:
    return next(part["text"] for part in item.task.messages[0]["content"] if "text" in part)


@pytest.mark.parametrize("tags", [False, True])
def test_wordings_are_those_that_they_should_be(book, tags):
    seen, paraphrased, combined = prompt_suites(tags=tags)
    for suite in (seen, paraphrased, combined):
        items = mini_items(suite, book, count=12)
        assert suite.score([(item, item.task.answer) for item in items]).value == 1
        assert suite.score([(item, "I do not know.") for item in items]).value == 0
        for item in items:
            asked = question(item)
            known = PROMPTS[item.task.name]
            begins = {
                "tags": [known.tags],
                "train": [known.official, *known.train],
                "held out": list(known.held_out),
            }
            expected = "held out" if suite is paraphrased else "tags" if tags else "train"
            assert any(asked.startswith(text.split("{}")[0]) for text in begins[expected])
            if suite is combined:
                kind = "mixed" if item.scene.kind == "question" else item.scene.kind
                assert item.task.name not in PRETRAIN_SHARES[kind]


def test_the_same_scenes_are_asked_in_both_wordings(book):
    seen, paraphrased, _ = (
        mini_items(suite, book, count=10) for suite in prompt_suites(tags=False)
    )
    assert [item.scene for item in seen] == [item.scene for item in paraphrased]


def test_training_never_asks_what_counts_as_unasked(book):
    sampler = GrownSampler(book.utterances, "train", seed=3, stage="pretrain")
    combinations = set()
    for index in range(400):
        scene = sampler.scene(index)
        asked, unasked = asked_tasks(scene), unasked_tasks(scene)
        assert not set(asked) & set(unasked)
        assert set(unasked) <= set(ASKABLE)
        combinations |= {(scene.kind, name) for name in unasked if scene.kind in KINDS}
        task = sample_grown_task(scene, np.random.default_rng(index), stage="pretrain")
        assert not set(task.turns) - {"is_there"} & set(unasked)
    assert len(combinations) > 8, "there is something to combine"


def test_a_checkpoint_says_what_it_was_trained_on():
    assert trained_on_tags(SimpleNamespace(about={"config": {"prompts": "tags"}}))
    assert not trained_on_tags(SimpleNamespace(about={"config": {"prompts": "natural"}}))
    assert not trained_on_tags(SimpleNamespace(about={}))
