"""A picture of probes shows each layer's accuracy and its control, as they were measured."""

import numpy as np
import pytest

from q2a_core.inspection.figures.probes import figure_probes
from q2a_core.inspection.linear_probe import probe_layer


@pytest.fixture
def layers():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    states = rng.normal(size=(40, 3)) + labels[:, None]
    return [probe_layer(states, labels, np.arange(40), layer=k, rng=rng) for k in range(3)]


def drawn(axes):
    """Height of every point of every line that has one point for each layer."""
    return [tuple(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) == 3]


def test_probes_stand_over_their_control(layers):
    figure = figure_probes({"one": layers, "two": layers})
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]
    for axes in figure.axes:
        assert tuple(probe.accuracy.value for probe in layers) in drawn(axes)
        assert tuple(probe.control for probe in layers) in drawn(axes)
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "2"]


def test_a_baseline_and_names_of_layers_are_drawn_when_given(layers):
    [axes] = figure_probes({"order": layers}, labels=["in", "mid", "out"], baseline=0.5).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["in", "mid", "out"]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sorted(names) == ["average log-mel", "probe", "shuffled, 95 %"]
    [baseline] = [line for line in axes.lines if line.get_label() == "average log-mel"]
    assert set(baseline.get_ydata()) == {0.5}
