"""Room and channel: each effect does what its name says, and the chain stays bounded and reproducible."""

import numpy as np
import pytest

from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.room import (
    LOUDEST,
    augment,
    band_limit,
    change_speed,
    clip,
    level_of,
    mix_at_snr,
    reverberate,
    set_peak,
    tilt,
)


def white(samples: int = 32_000, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples, dtype=np.float32)


def sine(frequency: float, samples: int = 32_000) -> np.ndarray:
    return np.sin(2 * np.pi * frequency / SAMPLE_RATE * np.arange(samples)).astype(np.float32)


def gain_db(after: np.ndarray, before: np.ndarray, low: float, high: float) -> float:
    """Change of the mean power between `low` and `high` Hz."""
    frequencies = np.fft.rfftfreq(len(before), 1 / SAMPLE_RATE)
    inside = (frequencies >= low) & (frequencies < high)
    power = [np.square(np.abs(np.fft.rfft(x)))[inside].mean() for x in (after, before)]
    return float(10 * np.log10(power[0] / power[1]))


def test_augment_is_bounded_and_reproducible():
    for seed in range(60):
        samples = white(int(np.random.default_rng(seed).integers(400, 48_000)), seed)
        first = augment(samples, np.random.default_rng(seed))
        again = augment(samples, np.random.default_rng(seed))
        assert first.dtype == np.float32
        assert np.array_equal(first, again)
        assert np.isfinite(first).all()
        assert 0.09 < np.abs(first).max() <= LOUDEST + 1e-6
        assert 0.84 < len(samples) / len(first) < 1.2


def test_augment_differs_from_seed_to_seed_and_spares_its_input():
    samples = white()
    before = samples.copy()
    results = [augment(samples, np.random.default_rng(seed)) for seed in range(6)]
    assert np.array_equal(samples, before)
    assert len({len(result) for result in results}) == 6


def test_strength_zero_changes_the_level_only():
    samples = white()
    changed = augment(samples, np.random.default_rng(3), strength=0.0)
    assert np.corrcoef(samples, changed)[0, 1] > 0.999999


@pytest.mark.parametrize("samples", [0, 1, 2, 100])
def test_augment_takes_very_short_and_silent_clips(samples):
    for seed in range(10):
        quiet = augment(np.zeros(samples, dtype=np.float32), np.random.default_rng(seed))
        assert not quiet.any()
        assert np.isfinite(augment(white(samples), np.random.default_rng(seed))).all()


@pytest.mark.parametrize("factor", [0.85, 0.97, 1.0, 1.1, 1.18])
def test_speed_moves_pitch_and_length_together(factor):
    fast = change_speed(sine(1_000.0), factor)
    assert len(fast) == pytest.approx(32_000 / factor, rel=0.006)
    spectrum = np.abs(np.fft.rfft(fast * np.hanning(len(fast))))
    pitch = spectrum.argmax() * SAMPLE_RATE / len(fast)
    assert pitch == pytest.approx(1_000.0 * 32_000 / len(fast), abs=1.0)
    assert np.abs(fast[2_000:-2_000]).max() == pytest.approx(1.0, abs=0.01)


def test_faster_does_not_fold_back():
    fast = change_speed(sine(7_500.0), 1.18)
    assert level_of(fast[2_000:-2_000]) < 0.01


def test_reverberation_keeps_the_onset_and_adds_a_falling_tail():
    click = np.zeros(16_000, dtype=np.float32)
    click[1_000] = 1.0
    for seed in range(10):
        wet = reverberate(click, np.random.default_rng(seed))
        assert wet.shape == click.shape
        assert np.abs(wet[:990]).max() < 1e-3
        # what the walls' low-pass adds at the click itself is small.
        assert wet[1_000] == pytest.approx(1.0, abs=0.2)
        tail = np.square(wet[1_016:])
        assert 0.001 < tail.sum() <= 1.1
        assert tail[:2_000].sum() > 3 * tail[4_000:6_000].sum()


def test_tilt_turns_the_spectrum_about_1_khz():
    samples = white(160_000)
    brighter = tilt(samples, 3.0)
    assert gain_db(brighter, samples, 950, 1_050) == pytest.approx(0.0, abs=0.3)
    assert gain_db(brighter, samples, 3_900, 4_100) == pytest.approx(6.0, abs=0.3)
    assert gain_db(brighter, samples, 245, 255) == pytest.approx(-6.0, abs=0.3)
    assert np.abs(tilt(brighter, -3.0)[2_000:-2_000] - samples[2_000:-2_000]).max() < 1e-2


def test_band_limit_passes_the_middle_and_stops_the_ends():
    samples = white(160_000)
    telephone = band_limit(samples, 300.0, 3_400.0)
    assert gain_db(telephone, samples, 800, 2_000) == pytest.approx(0.0, abs=0.3)
    assert gain_db(telephone, samples, 290, 310) == pytest.approx(-3.0, abs=0.5)
    assert gain_db(telephone, samples, 20, 75) < -20
    assert gain_db(telephone, samples, 6_500, 8_000) < -30


def test_clipping_limits_and_bends():
    samples = sine(440.0)
    hard, soft = clip(samples, 0.5, soft=False), clip(samples, 0.5, soft=True)
    assert np.abs(hard).max() == pytest.approx(0.5)
    assert np.abs(soft).max() < 0.5
    untouched = np.abs(samples) < 0.5
    assert np.array_equal(hard[untouched], samples[untouched])
    assert np.abs(soft - samples)[np.abs(samples) < 0.05].max() < 1e-3


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.5, 45.0])
def test_mixing_meets_the_signal_to_noise_ratio(snr_db):
    signal, noise = sine(700.0) * 0.2, white(seed=9) * 3
    added = mix_at_snr(signal, noise, snr_db) - signal
    assert 20 * np.log10(level_of(signal) / level_of(added)) == pytest.approx(snr_db, abs=0.1)


def test_mixing_with_silence_changes_nothing():
    signal = white()
    assert np.array_equal(mix_at_snr(signal, np.zeros_like(signal), 10.0), signal)
    assert not mix_at_snr(np.zeros_like(signal), signal, 10.0).any()


def test_levels_are_met():
    assert np.abs(set_peak(white(), 0.7)).max() == pytest.approx(0.7, abs=1e-6)
    assert not set_peak(np.zeros(5, dtype=np.float32), 0.7).any()
