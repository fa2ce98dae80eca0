"""The three pictures of lesson 07 show the values that they were given."""

import numpy as np
import pytest

from q2a_core.inspection.causes import CausalMap
from q2a_core.inspection.edits import AUDIO_TOKENS, Site
from q2a_core.inspection.figures.causes import (
    figure_listening,
    figure_look_and_cause,
)
from q2a_core.inspection.listening import Heard, Listening

pytest.importorskip("matplotlib")


def test_looks_and_needs_lie_under_the_waveform_on_one_axis():
    change = np.zeros((2, 3, 2))
    change[0, 1, 1] = -4.0
    change[1, 2, 1] = 2.0
    sites = [Site(part="encoder", layer=0), AUDIO_TOKENS]
    cause = CausalMap(
        sites=sites, windows=[(0, 5), (5, 10), (10, 12)], change=change, whole=np.zeros((2, 2))
    )
    look = np.array([[0.1, 0.2, 0.3]])
    figure = figure_look_and_cause(np.zeros(8000), look, cause, first=1, stop=2, title="seven")
    wave, reads, needs = figure.axes[:3]
    assert wave.get_xlim() == reads.get_xlim() == needs.get_xlim()
    np.testing.assert_allclose(reads.collections[0].get_array().reshape(1, 3), look)
    np.testing.assert_allclose(needs.collections[0].get_array().reshape(2, 3), change[:, :, 1])
    assert needs.collections[0].get_clim() == (-4, 4)
    assert [t.get_text() for t in needs.get_yticklabels()] == ["encoder 1", "audio tokens"]
    frames = [line.get_xdata().min() for line in needs.lines]
    np.testing.assert_allclose(frames, [0.2, 0.4])
    with pytest.raises(ValueError, match="2 windows and the map 3"):
        figure_look_and_cause(np.zeros(8000), look[:, :2], cause)


def test_the_meter_shows_each_token_under_each_condition():
    heard = (
        Heard(condition="clip", logps=np.array([-0.1, -0.2])),
        Heard(condition="silence", logps=np.array([-5.0, -30.0])),
    )
    [axes, _] = figure_listening(Listening(pieces=("a", " dog"), heard=heard)).axes
    np.testing.assert_allclose(axes.images[0].get_array(), [[-0.1, -0.2], [-5, -30]])
    assert [t.get_text() for t in axes.get_xticklabels()] == ["a", "dog"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["clip", "silence"]
