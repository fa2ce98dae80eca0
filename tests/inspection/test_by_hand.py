"""Decoding by hand gives what `generate` gives, with the cache and without."""

import pytest
import torch

from q2a_core.inference import GenerationSettings
from q2a_core.inference.generate import generate
from q2a_core.inspection.by_hand import decode_by_hand


@pytest.fixture(scope="module")
def embeds(case):
    return case.decoder_states[0][:, : case.prompt_ids.shape[1]]


@pytest.mark.parametrize("cached", [True, False])
def test_the_reply_is_that_of_generate(case, embeds, cached):
    settings = GenerationSettings(stop_ids=case.settings.stop_ids, max_new_tokens=12)
    first = case.first_audio
    due = generate(
        case.model,
        case.prompt_ids,
        settings=settings,
        audio_embeds=embeds[0, first : first + case.num_tokens],
    )
    found = decode_by_hand(
        case.model, embeds, stop_ids=settings.stop_ids, max_new_tokens=12, cached=cached
    )
    assert found.token_ids == due.token_ids[0]
    length = embeds.shape[1]
    steps = len(found.positions)
    assert found.positions == (
        [length] + [1] * (steps - 1) if cached else list(range(length, length + steps))
    )
    assert len(found.seconds) == len(found.logits) == steps


def test_both_ways_choose_from_the_same_logits(case, embeds):
    two = [
        decode_by_hand(case.model, embeds, stop_ids=(), max_new_tokens=6, cached=cached)
        for cached in (True, False)
    ]
    torch.testing.assert_close(two[0].logits, two[1].logits, atol=1e-4, rtol=0)


def test_a_stop_token_ends_the_reply_and_is_no_part_of_it(case, embeds):
    free = decode_by_hand(case.model, embeds, stop_ids=(), max_new_tokens=5)
    stop = free.token_ids[2]
    place = free.token_ids.index(stop)
    found = decode_by_hand(case.model, embeds, stop_ids=(stop,), max_new_tokens=5)
    assert found.token_ids == free.token_ids[:place]
    assert len(found.logits) == place + 1


def test_one_row_is_expected(case, embeds):
    with pytest.raises(ValueError, match=r"expected \(1, T, D\)"):
        decode_by_hand(case.model, embeds[0], stop_ids=(), max_new_tokens=1)
