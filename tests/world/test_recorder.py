"""What recordings carry: a floor of noise at its level, and edges beyond which next to nothing is left."""

import numpy as np
import pytest

from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world import recorder
from q2a_core.world.recorder import cut_outside, through_recorder


def white(seconds: float = 1.0) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(int(seconds * SAMPLE_RATE), dtype=np.float32)


def power_between(samples: np.ndarray, low: float, high: float) -> float:
    power = np.square(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))))
    f = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    return float(power[(f >= low) & (f < high)].mean())


def test_beyond_the_edges_next_to_nothing_is_left():
    before = white()
    after = cut_outside(before, 500.0, 4_000.0)
    assert len(after) == len(before)
    inside = power_between(after, 900, 3_600) / power_between(before, 900, 3_600)
    assert inside == pytest.approx(1.0, abs=1e-3)
    for low, high in ((20, 120), (4_500, 7_900)):
        assert power_between(after, low, high) < 1e-6 * power_between(before, low, high)


def test_no_edge_changes_nothing():
    samples = white(0.1)
    assert cut_outside(samples, -np.inf, np.inf) is samples


def test_floor_lies_where_it_is_said(monkeypatch):
    monkeypatch.setattr(recorder, "HIGH_SHARE", 0.0)
    monkeypatch.setattr(recorder, "LOW_SHARE", 0.0)
    tone = np.sin(2 * np.pi * 440 / SAMPLE_RATE * np.arange(SAMPLE_RATE)).astype(np.float32)
    levels = []
    for seed in range(60):
        floor = through_recorder(tone, np.random.default_rng(seed)) - tone
        if np.abs(floor).max() > 0:
            levels.append(-10 * np.log10(np.square(floor).mean() / np.square(tone).mean()))
    assert 0.55 < len(levels) / 60 < 0.95
    assert recorder.FLOOR_DB[0] - 0.1 < min(levels)
    assert max(levels) < recorder.FLOOR_DB[1] + 0.1
    assert np.ptp(levels) > 20


@pytest.mark.parametrize("seconds", [0.0001, 0.01, 2.0])
def test_same_seed_same_clip_of_any_length(seconds):
    samples = white(seconds)
    before = samples.copy()
    for seed in range(20):
        first, again = (through_recorder(samples, np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(first, again)
        assert first.shape == samples.shape
        assert first.dtype == np.float32
        assert np.isfinite(first).all()
    assert np.array_equal(samples, before)


def test_silence_stays_silent():
    silence = np.zeros(8_000, dtype=np.float32)
    for seed in range(20):
        assert np.abs(through_recorder(silence, np.random.default_rng(seed))).max() == 0.0
