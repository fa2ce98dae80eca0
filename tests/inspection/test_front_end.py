"""The front-end lab: the model's settings give the model's log-mel, and what is had back sounds like what went in."""

import numpy as np
import pytest

from q2a_core import lengths, load_waveform, paths
from q2a_core.audio.mel import log_mel, mel_filters
from q2a_core.errors import Q2AError
from q2a_core.inspection.front_end import (
    HOP_CHOICES,
    N_FFT_CHOICES,
    NUM_MELS_CHOICES,
    MelSettings,
    log_bands,
    resynthesise,
    view_under,
)

RATE = lengths.SAMPLE_RATE


def tone(hertz: float, seconds: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def loudest_hertz(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples))


@pytest.mark.parametrize("samples", [321, 4000, 12_345])
def test_the_model_s_settings_give_the_model_s_log_mel(samples):
    clip = np.random.default_rng(0).uniform(-0.4, 0.4, samples).astype(np.float32)
    frames = lengths.mel_frames(samples)
    expected = log_mel(clip).numpy()[:, :frames]
    assert (log_bands(clip, MelSettings())[:, :frames] + 4) / 4 == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("num_mels", NUM_MELS_CHOICES)
def test_filters_of_any_window_are_librosa_s(num_mels):
    import librosa

    for n_fft in (800, 1600):
        expected = librosa.filters.mel(sr=RATE, n_fft=n_fft, n_mels=num_mels)
        assert pytest.approx(expected, abs=1e-6) == mel_filters(num_mels, n_fft).numpy().T


def test_a_tone_keeps_its_pitch_and_its_level():
    found = resynthesise(tone(1000), MelSettings())
    middle = found.samples[2000:6000]
    assert loudest_hertz(middle) == pytest.approx(1000, abs=30)
    assert np.sqrt(2) * middle.std() == pytest.approx(0.3, rel=0.25)


def test_few_bands_lose_the_pitch_and_many_keep_it():
    clip = tone(440) + tone(560)
    coarse, fine = (resynthesise(clip, MelSettings(num_mels=n)) for n in (8, 128))
    assert coarse.distance > 2 * fine.distance
    assert coarse.view.mel.shape[0] == 8


def test_sizes_follow_the_settings():
    found = resynthesise(tone(500, 1.0), MelSettings(n_fft=800, hop_length=320, num_mels=64))
    assert found.view.mel.shape == (64, 50)
    assert found.view.audio_tokens == 12
    assert len(found.samples) == RATE
    assert found.view.mel_ticks[0][0] == 0.5


def test_the_same_seed_gives_the_same_sound():
    clip = np.random.default_rng(1).uniform(-0.3, 0.3, 3000).astype(np.float32)
    first, again, other = (resynthesise(clip, MelSettings(), seed=s) for s in (0, 0, 1))
    assert (first.samples == again.samples).all()
    assert (first.samples != other.samples).any()


def test_bands_between_two_bins_are_counted():
    assert resynthesise(tone(500), MelSettings(n_fft=1600)).silent_bands == 0
    narrow = resynthesise(tone(500), MelSettings(n_fft=200, hop_length=80))
    filters = mel_filters(128, 200).numpy()
    assert narrow.silent_bands == sum(not band.any() for band in filters.T) > 20


@pytest.mark.parametrize("n_fft", N_FFT_CHOICES)
@pytest.mark.parametrize("hop_length", HOP_CHOICES)
def test_every_choice_works_or_says_why_not(n_fft, hop_length):
    clip = tone(700, 0.05)
    if hop_length > n_fft:
        with pytest.raises(Q2AError, match="leaves gaps"):
            MelSettings(n_fft=n_fft, hop_length=hop_length)
        return
    for num_mels in (NUM_MELS_CHOICES[0], NUM_MELS_CHOICES[-1]):
        settings = MelSettings(n_fft=n_fft, hop_length=hop_length, num_mels=num_mels)
        found = resynthesise(clip, settings)
        assert np.isfinite(found.samples).all()
        assert len(found.samples) == len(clip)


@pytest.mark.parametrize("samples", [321, 8000])
def test_silence_stays_silent(samples):
    found = resynthesise(np.zeros(samples, np.float32), MelSettings())
    assert np.abs(found.samples).max() < 1e-3


def test_more_bands_are_never_worse():
    """80 bands of the shortest window hear less than nothing in some places: the inverse of those would be noise."""
    clip = load_waveform(paths.data_samples() / "clips" / "open_the_small_door.wav").samples
    few, many = (
        resynthesise(clip, MelSettings(n_fft=200, hop_length=80, num_mels=bands)).distance
        for bands in (64, 80)
    )
    assert many < few


def test_a_long_clip_is_cut():
    found = resynthesise(np.zeros(11 * RATE, np.float32), MelSettings(num_mels=8))
    assert found.view.seconds == 10


def test_a_picture_alone_is_the_one_that_a_resynthesis_has():
    clip, settings = tone(500, 1.0), MelSettings(n_fft=800, hop_length=320, num_mels=64)
    picture, whole = view_under(clip, settings), resynthesise(clip, settings).view
    assert (picture.mel == whole.mel).all()
    assert (picture.mel_range, picture.audio_tokens) == (whole.mel_range, 12)
    assert (picture.envelope != whole.envelope).any(), "of the clip, not of what was had back"
