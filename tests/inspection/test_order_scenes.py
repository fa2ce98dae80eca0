"""Both orders of a pair hold the same sound, so that only the order can be told."""

import numpy as np
import pytest

from q2a_core.inspection.linear_probe import probe_layer
from q2a_core.inspection.order_scenes import mean_mel, order_clips

TEXT = "Which sound comes first?"


@pytest.fixture(scope="module")
def clips():
    return order_clips(("siren", "rain"), count=16, seed=3, text=TEXT)


def test_a_pair_differs_in_order_alone(clips):
    assert [clip.label for clip in clips] == [0, 1] * 8
    assert {clip.text for clip in clips} == {TEXT}
    for one, two in zip(clips[::2], clips[1::2], strict=True):
        assert one.group == two.group
        assert len(one.samples) == len(two.samples)
        assert not np.array_equal(one.samples, two.samples)
    assert len({clip.group for clip in clips}) == 8


def test_the_same_arguments_give_the_same_clips(clips):
    again = order_clips(("siren", "rain"), count=3, seed=3, text=TEXT)
    assert len(again) == 3
    np.testing.assert_array_equal(again[2].samples, clips[2].samples)


def test_the_average_spectrum_does_not_know_the_order(clips):
    mels = mean_mel(clips)
    assert mels.shape == (16, 128)
    between = np.abs(mels[::2] - mels[1::2]).mean()
    assert between < 0.2 * np.abs(mels[:-2:2] - mels[2::2]).mean()
    labels = np.array([clip.label for clip in clips])
    groups = np.array([clip.group for clip in clips])
    found = probe_layer(mels, labels, groups, layer=0, rng=np.random.default_rng(0))
    assert found.accuracy.low <= 0.5
