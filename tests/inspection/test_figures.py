"""Figures as arrays: one time axis, the clip's own frames, tokens of 40 ms."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from q2a_core import lengths
from q2a_core.audio import load_waveform
from q2a_core.audio.mel import log_mel
from q2a_core.inspection import figure_clip, figure_map, view_clip
from q2a_core.inspection.figures.clip import figure_view

pytest.importorskip("matplotlib")


@pytest.fixture
def parts():
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 24_100).astype(np.float32)
    waveform = load_waveform(samples, sample_rate=16_000)
    return waveform, log_mel(waveform.samples), lengths.tokens_of_samples(len(samples))


def test_three_rows_on_one_time_axis(parts):
    waveform, mel, count = parts
    figure = figure_clip(waveform, mel, count, title="noise")
    wave, picture, tokens = figure.axes[:3]
    assert wave.get_xlim() == picture.get_xlim() == tokens.get_xlim()
    frames = lengths.mel_frames(len(waveform.samples))
    assert picture.images[0].get_array().shape == (128, frames)
    assert picture.images[0].get_extent()[:2] == [0, pytest.approx(frames / 100)]
    assert tokens.images[0].get_extent()[:2] == [0, pytest.approx(count * 0.04)]
    assert [label.get_text() for label in picture.get_yticklabels()] == ["0.5", "1", "2", "4"]
    assert "seconds" in tokens.get_xlabel()


def test_tensors_and_batches_of_one_are_taken(parts):
    waveform, mel, count = parts
    tokens = torch.randn(1, count, 48)
    figure = figure_clip(torch.as_tensor(waveform.samples), mel[None], tokens)
    assert figure.axes[2].images[0].get_array().shape == (48, count)


def test_figure_can_be_saved(parts, tmp_path):
    figure = figure_clip(*parts)
    figure.savefig(tmp_path / "clip.png")
    assert (tmp_path / "clip.png").stat().st_size > 10_000


def test_a_map_shows_its_values_on_the_clips_axis():
    values = np.array([[0.0, 0.2, 0.8], [0.5, 0.25, 0.25]])
    figure = figure_map(values, labels=["a", "dog"], title="layer 4")
    axes = figure.axes[0]
    [image] = axes.get_images()
    np.testing.assert_allclose(image.get_array(), values)
    assert image.get_clim() == pytest.approx((0, 0.8))
    assert image.get_extent()[:2] == [0, pytest.approx(0.12)]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "dog"]
    signed = figure_map(-values, labels=["a", "b"], signed=True, seconds_per_column=0.12)
    assert signed.axes[0].get_images()[0].get_clim() == pytest.approx((-0.8, 0.8))
    with pytest.raises(ValueError, match="1 labels were given for 2 rows"):
        figure_map(values, labels=["a"])


def test_the_still_player_follows_an_experiment_s_hop(parts):
    view = replace(view_clip(parts[0]), hop_length=320, mel=np.zeros((128, 76), np.uint8))
    wave, mel, tokens = figure_view(view, title="coarse").axes[:3]
    assert wave.get_xlim() == mel.get_xlim() == tokens.get_xlim()
    assert mel.images[0].get_extent()[:2] == [0, pytest.approx(76 * 0.02)]
    assert tokens.images[0].get_extent()[:2] == [0, pytest.approx(view.audio_tokens * 0.08)]
    assert "80 ms" in tokens.get_xlabel()
    assert [label.get_text() for label in mel.get_yticklabels()] == ["0.5", "1", "2", "4"]
