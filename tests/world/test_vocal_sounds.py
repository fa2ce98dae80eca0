"""Vocal sounds: reproducible, bounded, countable as promised, and each with the marks that a listener knows it by."""

import numpy as np
import pytest

from q2a_core.errors import Q2AError
from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.sounds import PEAK
from q2a_core.world.sounds.vocal_sounds import VOCAL_CLASSES, synthesise_vocal

LABELS = [vocal.label for vocal in VOCAL_CLASSES]
COUNTABLE = [vocal.label for vocal in VOCAL_CLASSES if vocal.countable]
FREQUENCIES = np.fft.rfftfreq(512, 1 / SAMPLE_RATE)


def make(label: str, seed: int, **options) -> np.ndarray:
    return synthesise_vocal(label, np.random.default_rng([seed, 5_077]), **options)


def power_spectrogram(samples: np.ndarray) -> np.ndarray:
    """(frames, 257) power of 32 ms windows, 10 ms apart."""
    padded = np.pad(samples, (256, 256))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 512)[::160]
    return np.abs(np.fft.rfft(frames * np.hanning(512), axis=1)) ** 2


def loudness_db(samples: np.ndarray, *, smooth: float) -> np.ndarray:
    """Envelope at 1 kHz in dB below its maximum, smoothed over `smooth` seconds, no lower than -60."""
    power = np.square(samples[: len(samples) // 16 * 16].reshape(-1, 16)).mean(axis=1)
    window = np.hanning(round(smooth * 1_000) + 2)
    smoothed = np.convolve(power, window / window.sum())
    return np.maximum(10 * np.log10(smoothed / smoothed.max() + 1e-9), -60)


def count_peaks(samples: np.ndarray, *, smooth: float, rise: float, floor: float) -> int:
    """How often the loudness climbs `rise` dB above its last valley to within `floor` dB of the loudest moment."""
    peaks, valley, peak, inside = 0, -60.0, -60.0, False
    for level in loudness_db(samples, smooth=smooth):
        if inside:
            peak = max(peak, level)
            if level < peak - rise:
                inside, valley = False, level
        else:
            valley = min(valley, level)
            if level > valley + rise and level > -floor:
                peaks, inside, peak = peaks + 1, True, level
    return peaks


def mean_centroid(samples: np.ndarray) -> float:
    power = power_spectrogram(samples).sum(axis=0)
    return float(power @ FREQUENCIES / power.sum())


def median_over_seeds(measure, label: str, seeds: int = 11, **options) -> float:
    return float(np.median([measure(make(label, seed, **options)) for seed in range(seeds)]))


def test_the_six_classes_of_vocalsound_are_there():
    assert LABELS == ["laughter", "sigh", "cough", "throat_clearing", "sneeze", "sniff"]
    assert COUNTABLE == ["cough", "sneeze", "sniff"]


@pytest.mark.parametrize("label", LABELS)
def test_same_seed_same_sound_other_seed_other_sound(label):
    first, again, other = make(label, 1), make(label, 1), make(label, 2)
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.allclose(first, other, atol=0.01)


@pytest.mark.parametrize("label", LABELS)
def test_bounded_in_value_and_length_and_silent_at_the_ends(label):
    for seed in range(15):
        samples = make(label, seed)
        assert samples.dtype == np.float32
        assert samples.ndim == 1
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() == pytest.approx(PEAK, abs=1e-3)
        assert 0.1 <= len(samples) / SAMPLE_RATE <= 4.6
        assert np.abs(samples[[0, 1, -2, -1]]).max() < 0.02


@pytest.mark.parametrize("label", COUNTABLE)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_count_is_what_an_envelope_shows(label, count):
    floor = {"cough": 12, "sneeze": 9, "sniff": 20}[label]
    least = (
        0.8 if label == "cough" else 0.9
    )  # the voice that ends a cough may stand apart from its burst
    found = [
        count_peaks(make(label, seed, count=count), smooth=0.12, rise=6, floor=floor)
        for seed in range(30)
    ]
    assert np.mean(np.array(found) == count) >= least, found


@pytest.mark.parametrize(
    ("label", "count", "words"),
    [
        ("snore", None, "no vocal sound"),
        ("laughter", 2, "no separate events"),
        ("cough", 0, "1 to 4"),
        ("sneeze", 5, "1 to 4"),
    ],
)
def test_misuse_is_told(label, count, words):
    with pytest.raises(Q2AError, match=words):
        synthesise_vocal(label, np.random.default_rng(0), count=count)


def pulse_rate(samples: np.ndarray) -> float:
    """Strongest rhythm of the loudness between 2 and 12 Hz."""
    power = 10 ** (loudness_db(samples, smooth=0.06) / 20)
    spectrum = np.abs(np.fft.rfft((power - power.mean()) * np.hanning(len(power)), 1 << 14))
    rate = np.fft.rfftfreq(1 << 14, 1e-3)
    return float(rate[np.argmax(spectrum * ((rate > 2) & (rate < 12)))])


def test_laughter_is_a_row_of_four_to_six_calls_a_second_that_sinks():
    rates = [pulse_rate(make("laughter", seed)) for seed in range(15)]
    assert np.mean([3.0 < rate < 7.0 for rate in rates]) >= 0.8, rates
    assert (
        median_over_seeds(lambda x: count_peaks(x, smooth=0.05, rise=5, floor=20), "laughter") > 3
    )

    def sinks(samples: np.ndarray) -> float:
        halves = np.array_split(np.square(samples), 2)
        return float(halves[0].mean() / (halves[1].mean() + 1e-9))

    assert median_over_seeds(sinks, "laughter") > 1.2


def test_a_cough_and_a_sneeze_break_out_and_a_sigh_swells():
    def climb(samples: np.ndarray) -> float:
        """Seconds from -15 dB to the loudest moment."""
        level = loudness_db(samples, smooth=0.01)
        top = int(level.argmax())
        below = np.flatnonzero(level[:top] < -15)
        return (top - (below[-1] if len(below) else 0)) / 1_000

    assert median_over_seeds(climb, "cough", count=1) < 0.06
    assert median_over_seeds(climb, "sneeze", count=1) < 0.09
    assert median_over_seeds(climb, "sigh") > 0.12


def test_a_sniff_is_bright_and_brightens_and_throat_clearing_is_dull():
    centre = {label: median_over_seeds(mean_centroid, label) for label in LABELS}
    assert centre["sniff"] == max(centre.values())
    assert centre["throat_clearing"] < 0.6 * centre["sniff"]

    def brightening(samples: np.ndarray) -> float:
        """Second half's centre over the first half's."""
        first, second = np.array_split(samples, 2)
        return mean_centroid(second) / mean_centroid(first)

    assert median_over_seeds(brightening, "sniff", count=1) > 1.1


def features(samples: np.ndarray) -> np.ndarray:
    """Mean, upper level, spread and change of 24 log bands: what a simple listener keeps."""
    edges = np.geomspace(60, 7_900, 26)
    bands = [
        (low <= FREQUENCIES) & (high > FREQUENCIES)
        for low, high in zip(edges[:-2], edges[2:], strict=True)
    ]
    power = power_spectrogram(samples) @ np.stack(bands).T
    levels = np.log(power + 1e-5 * np.square(samples).mean())
    centred = levels - levels.max()
    parts = [centred.mean(axis=0), np.quantile(centred, 0.9, axis=0), levels.std(axis=0)]
    return np.concatenate([*parts, np.abs(np.diff(levels, axis=0)).mean(axis=0)])


def test_a_simple_listener_tells_the_classes_apart():
    def batch(seeds: range) -> tuple[np.ndarray, np.ndarray]:
        made = [(features(make(label, s)), k) for k, label in enumerate(LABELS) for s in seeds]
        return np.stack([m[0] for m in made]), np.array([m[1] for m in made])

    train, train_labels = batch(range(1_000, 1_020))
    test, test_labels = batch(range(2_000, 2_008))
    mean, spread = train.mean(axis=0), train.std(axis=0) + 1e-6
    train, test = (train - mean) / spread, (test - mean) / spread
    nearest = np.square(test[:, None] - train[None]).sum(axis=2).argmin(axis=1)
    right = train_labels[nearest] == test_labels
    by_class = {label: right[test_labels == k].mean() for k, label in enumerate(LABELS)}
    assert right.mean() >= 0.7, by_class
