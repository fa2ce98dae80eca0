"""Tags for a sentence: every wording of every task, as training asks it in tags."""

import numpy as np
import pytest

from q2a_core.world.prompts import in_tags, prompt_for
from q2a_core.world.wordings import PROMPTS

WHAT = {"transcribe": "en", "translate": "German", "is_there": "a dog"}


@pytest.mark.parametrize("task", PROMPTS)
def test_every_wording_of_a_task_is_asked_in_its_tags(task):
    what, prompts = WHAT.get(task, ""), PROMPTS[task]
    tags = prompt_for(task, np.random.default_rng(0), what=what, tags=True)
    wordings = [prompts.official, *prompts.train, *prompts.held_out]
    found = {in_tags(each.replace("{}", what)) for each in wordings}
    other = {each.tags for name, each in PROMPTS.items() if name != task}
    assert tags in found
    assert len(found - other) == 1, "two tasks may share a wording, no more"


def test_a_name_is_written_as_training_writes_it_and_other_sentences_have_no_tags():
    assert in_tags("translate the speech into english") == in_tags(
        "Translate the speech into English."
    )
    assert in_tags("Is it raining?") is None
    assert in_tags("") is None
