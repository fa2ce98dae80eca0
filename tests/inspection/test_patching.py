"""Patches on the scale of the two clips: the whole of the donor is the donor, the clip itself changes nothing."""

import numpy as np
import pytest

from q2a_core.errors import ChatError
from q2a_core.inspection.case import open_case
from q2a_core.inspection.edits import Site, edited_logps, fill_values
from q2a_core.inspection.patching import patch_effect, patch_map


@pytest.fixture(scope="module")
def donor(chat, case):
    """As long as the patched clip, with another reply set."""
    samples = np.random.default_rng(5).uniform(-0.3, 0.3, 27_040).astype(np.float32)
    found = open_case(chat, samples, "What is this sound?", sample_rate=16_000)
    assert found.num_tokens == case.num_tokens
    return found.with_reply((9, 30, 12, 40))


def test_all_of_the_donor_is_the_donor(case, donor):
    first = Site(part="encoder", layer=0)
    found = patch_map(case, donor, width=10, only=[first])
    np.testing.assert_allclose(found.whole, [1.0], atol=1e-3)
    assert found.effect.shape == (1, 5)


def test_effects_are_shares_of_the_way(case, donor):
    site = Site(part="decoder", layer=1)
    found = patch_map(case, donor, width=20, only=[site])
    values = fill_values(case, site, "other", other=donor)
    towards = edited_logps(case.with_reply(donor.reply_ids), site, [(20, 40)], values).sum()
    away = edited_logps(case, site, [(20, 40)], values).sum()
    share = (towards - away - found.own) / (found.other - found.own)
    assert found.effect[0, 1] == pytest.approx(share, rel=1e-4)


def test_a_clip_in_itself_changes_nothing(case):
    twin = case.with_reply((9, 30, 12, 40))
    found = patch_map(case, twin, width=20, only=[Site(part="encoder", layer=1)])
    assert np.all(np.isnan(found.effect)) or np.abs(found.effect).max() < 1e-3
    assert found.own == pytest.approx(found.other)


def test_there_may_be_no_way():
    assert np.isnan(patch_effect(np.array([1.0]), 2.0, 2.0)).all()
    np.testing.assert_allclose(patch_effect(np.array([-2.0, 1.0, 7.0]), -2.0, 4.0), [0, 0.5, 1.5])


def test_both_cases_are_of_one_model(case, donor, tiny_checkpoint):
    from q2a_core.inference import AudioChat

    stranger = open_case(
        AudioChat.from_pretrained(tiny_checkpoint),
        np.full(9000, 0.1, np.float32),
        sample_rate=16_000,
    )
    with pytest.raises(ChatError, match="same model"):
        patch_map(case, stranger)
