"""Pictures of training hold what they were given."""

import numpy as np
import pytest

from q2a_core.inspection.figures.training import (
    figure_bars,
    figure_curves,
    figure_margins,
)


def test_bars_have_a_place_for_every_label():
    figure = figure_bars({"a": {"x": 1.0, "y": 2.0}, "b": {"y": 3.0}}, unit="nats", title="t")
    axes = figure.axes[0]
    assert sorted(bar.get_width() for bar in axes.patches) == [1.0, 2.0, 3.0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["x", "y"]
    assert axes.get_xlabel() == "nats"


def test_curves_leave_out_what_is_empty():
    steps = np.array([2, 4])
    curves = {"loss": (steps, np.array([3.0, 2.0])), "spelling": (np.zeros(0), np.zeros(0))}
    axes = figure_curves(curves, unit="nats").axes[0]
    assert [line.get_label() for line in axes.lines] == ["loss"]
    assert axes.get_yscale() == "log"
    assert not figure_curves({}, unit="nats").axes[0].lines


def test_margins_share_one_scale_around_zero():
    figure = figure_margins({"trained": np.array([0.5, 1.0]), "held out": np.array([-2.0])})
    for axes, count in zip(figure.axes, (2, 1), strict=True):
        assert sum(bar.get_height() for bar in axes.patches) == count
        low, high = axes.patches[0].get_x(), axes.patches[-1].get_x() + axes.patches[-1].get_width()
        assert (low, high) == pytest.approx((-2.0, 2.0))
