"""Growth with length and batch: both sides at every place, a picture of it, and memory of processes that lived."""

import json

import numpy as np
import pytest
import torch

from q2a_core.bench import growth
from q2a_core.bench.growth import process_memory, run_growth, to_markdown
from q2a_core.errors import Q2AError
from q2a_core.inspection.figures.growth import figure_growth

pytest.importorskip("transformers")


BALLAST = 1_000_000_000
"""Bytes that this process holds while another one's memory is measured."""


@pytest.fixture(scope="module")
def report(tiny_checkpoint):
    ballast = np.ones(BALLAST, dtype=np.uint8)
    found = run_growth(tiny_checkpoint, repeats=1, seconds=(0.5, 2.0, 60.0), batch_sizes=(1, 3))
    assert ballast[-1]
    return found


def test_every_place_has_both_sides(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    lengths = [row["seconds"] for row in report["first_token_seconds"]]
    assert lengths == [0.5, 2.0, 5.0], "the tiny model hears 5 s at once"
    assert [row["batch_size"] for row in report["training_clips_per_second"]] == [1, 3]
    for rows in (report["first_token_seconds"], report["training_clips_per_second"]):
        assert all(row["ours"] > 0 and row["other"] > 0 for row in rows)
    table = to_markdown(report)
    assert table.count("\n| ") == 2 + 2 + 3 + 2
    assert "Peak memory of a process" in table


def test_a_process_holds_more_than_its_weights(report, tiny_checkpoint):
    peaks = report["process_memory_bytes"]
    weights = (tiny_checkpoint / "model.safetensors").stat().st_size
    assert all(peak > max(weights, 50_000_000) for peak in peaks.values())
    assert process_memory(None) is None
    assert peaks["ours"] < BALLAST, "what this process holds is not what the next one takes"
    assert peaks["ours"] < peaks["other"], "transformers is the larger import"
    with pytest.raises(Q2AError, match="the process that measures memory failed"):
        process_memory(tiny_checkpoint / "nothing")


def test_the_picture_shows_what_was_measured(report, tmp_path):
    figure = figure_growth(report)
    first, training = figure.axes
    ours, other = first.lines
    assert ours.get_xdata().tolist() == [0.5, 2.0, 5.0]
    assert other.get_ydata().tolist() == [r["other"] * 1e3 for r in report["first_token_seconds"]]
    assert training.lines[0].get_ydata().tolist() == [
        row["ours"] for row in report["training_clips_per_second"]
    ]
    figure.savefig(tmp_path / "growth.svg")
    assert (tmp_path / "growth.svg").stat().st_size > 1000


def test_other_weights_are_not_timed(tiny_checkpoint, monkeypatch):
    opened = growth.open_pair

    def wrong(checkpoint):
        pair = opened(checkpoint)
        with torch.no_grad():
            pair.model.decoder.norm.weight.mul_(1.5)
        return pair

    monkeypatch.setattr(growth, "open_pair", wrong)
    with pytest.raises(Q2AError, match="nothing was timed"):
        run_growth(tiny_checkpoint, repeats=1, seconds=(0.5,), batch_sizes=(1,))
