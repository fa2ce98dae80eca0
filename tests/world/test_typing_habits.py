"""Questions as people type them: what is asked for survives, and the held-out split is left alone."""

import re

import numpy as np
import pytest

from q2a_core.world.prompts import LANGUAGE_NAMES
from q2a_core.world.sampler import GrownSampler
from q2a_core.world.speech import build_book, plan_utterances
from q2a_core.world.tasks import sample_grown_task
from q2a_core.world.typing_habits import KEPT, STRAYS, retype
from q2a_core.world.wordings import PROMPTS


@pytest.mark.parametrize("what", [*LANGUAGE_NAMES.values(), "a dog", "breaking glass", "a piano"])
def test_what_is_asked_for_stays(what):
    rng = np.random.default_rng(1)
    for task in ("translate", "is_there"):
        for wording in PROMPTS[task].train:
            question = wording.replace("{}", what)
            for _ in range(30):
                assert what.lower() in retype(question, rng).lower()


def test_about_half_are_changed_and_a_quarter_have_a_stray_word():
    rng = np.random.default_rng(2)
    question = "Which vocal sound do you hear?"
    typed = [retype(question, rng) for _ in range(4000)]
    assert 0.38 < np.mean([text != question for text in typed]) < 0.48
    words = set(question.lower().rstrip("?").split())
    lost = [
        bool(words - set(text.lower().rstrip("?.! ").replace("?", "").split())) for text in typed
    ]
    assert 0.2 < np.mean(lost) < 0.3


def test_short_questions_keep_their_words():
    rng = np.random.default_rng(3)
    for _ in range(500):
        assert "count them" in retype("Count them.", rng).lower()


def test_stray_words_name_nothing_that_could_be_asked_for():
    assert len(STRAYS) > 200
    assert not set(STRAYS) & KEPT


def test_only_training_questions_in_words_are_changed(tmp_path):
    for split, tags in (("train", False), ("train", True), ("test", False)):
        plan = plan_utterances(split, count=40, seed=0)
        book = build_book(plan, tmp_path / f"{split}{tags}", workers=1)
        sampler = GrownSampler(book.utterances, split, seed=7, stage="pretrain")
        asked = []
        for index in range(120):
            scene = sampler.scene(index)
            task = sample_grown_task(scene, scene.rng(2), stage="pretrain", tags=tags)
            asked += [
                part["text"]
                for message in task.messages
                if message["role"] == "user"
                for part in message["content"]
                if "text" in part
            ]
        known = [
            re.compile(re.escape(text).replace(r"\{\}", r"\w[\w ]*"))
            for prompts in PROMPTS.values()
            for text in (prompts.official, *prompts.train, *prompts.held_out, prompts.tags)
        ]
        plain = np.mean([any(form.fullmatch(text) for form in known) for text in asked])
        assert (0.4 < plain < 0.75) if (split, tags) == ("train", False) else plain == 1
