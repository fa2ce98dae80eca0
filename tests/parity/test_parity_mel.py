"""The log-mel front end beside WhisperFeatureExtractor: every frame that exists, for clips of any length and kind."""

from functools import lru_cache

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from q2a_core.audio.mel import log_mel, mel_filters
from q2a_core.lengths import SAMPLE_RATE, conv_mel_frames, mel_frames

KINDS = ("noise", "tones", "speech-like", "clicks", "fading")
EDGES = [
    *(1, 2, 159, 160, 161, 199, 200, 201, 320, 321, 322, 399, 400, 401, 480, 481),
    *(639, 640, 641, 800, 959, 960, 961, 1120, 1121, 1280, 1281, 16_000, 16_001, 15_999),
    *(479_521, 479_679, 479_680, 479_681, 479_799, 479_800, 479_801, 479_839, 479_840, 479_841),
    *(479_880, 479_960, 479_999, 480_000),
]
"""Lengths around one hop, one token, odd frame counts, and the mirrored end of the 30 s window."""


@lru_cache(maxsize=8)
def extractor(seconds: int, num_mels: int = 128) -> WhisperFeatureExtractor:
    return WhisperFeatureExtractor(feature_size=num_mels, chunk_length=seconds)


def clip(kind: str, length: int, rng: np.random.Generator) -> np.ndarray:
    """A clip of one kind at a random level between -60 dB and full scale."""
    time = np.arange(length) / SAMPLE_RATE
    if kind == "noise":
        samples = rng.normal(size=length)
    elif kind == "tones":
        frequencies = rng.uniform(40, 7900, size=3)
        samples = np.sin(2 * np.pi * frequencies[:, None] * time).sum(0)
    elif kind == "speech-like":
        pitch = 120 + 40 * np.sin(2 * np.pi * 0.7 * time)
        buzz = np.sign(np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE))
        samples = buzz * (np.sin(2 * np.pi * 3 * time) > -0.3) + 0.01 * rng.normal(size=length)
    elif kind == "clicks":
        samples = (rng.random(length) < 20 / SAMPLE_RATE) * rng.normal(size=length)
        samples[-1] = 1.0
    else:
        samples = rng.normal(size=length) * np.exp(-time * rng.uniform(1, 30))
    peak = np.abs(samples).max()
    level = 10 ** rng.uniform(-3, 0)
    return (samples / (peak or 1.0) * level).astype(np.float32)


def compare(samples: np.ndarray, seconds: int, findings, *, num_mels: int = 128) -> None:
    expected = extractor(seconds, num_mels)(
        samples, sampling_rate=SAMPLE_RATE, return_tensors="np", return_attention_mask=True
    )
    frames, window = mel_frames(len(samples)), 100 * seconds
    assert expected["attention_mask"].sum() == frames
    mel = log_mel(samples, num_mels=num_mels, max_frames=window)
    assert mel.dtype == torch.float32
    assert mel.shape == (num_mels, min(conv_mel_frames(frames), window))
    # the one or two frames after the clip's end, which the convolutions read, must agree as well
    difference = np.abs(mel.numpy() - expected["input_features"][0, :, : mel.shape[1]]).max()
    assert findings.difference("log-mel", difference) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_random_lengths_in_the_published_window(kind, findings):
    rng = np.random.default_rng([16_000, KINDS.index(kind)])
    lengths = [*rng.integers(321, 80_000, size=22), *rng.integers(80_000, 480_001, size=10)]
    for length in lengths:
        compare(clip(kind, int(length), rng), 30, findings)
    findings.count("clips compared, mel", len(lengths))


@pytest.mark.parametrize("seconds", [2, 3, 5])
def test_other_windows(seconds, findings):
    rng = np.random.default_rng(seconds)
    window = SAMPLE_RATE * seconds
    lengths = [*rng.integers(1, window, size=20), *range(window - 250, window, 25), window]
    for index, length in enumerate(lengths):
        compare(clip(KINDS[index % len(KINDS)], int(length), rng), seconds, findings)
    findings.count("clips compared, mel", len(lengths))


def test_edges(findings):
    rng = np.random.default_rng(321)
    for index, length in enumerate(EDGES):
        compare(clip(KINDS[index % len(KINDS)], length, rng), 30, findings)
    findings.count("clips compared, mel", len(EDGES))


def test_odd_frame_counts(findings):
    rng = np.random.default_rng(7)
    for frames in (1, 3, 5, 7, 99, 101, 199, 499, 999):
        for length in (160 * (frames - 1) + 1, 160 * frames - 1, 160 * frames):
            compare(clip("noise", length, rng), 30, findings)
    findings.count("clips compared, mel", 27)


@pytest.mark.parametrize("num_mels", [32, 80])
def test_other_numbers_of_bins(num_mels, findings):
    rng = np.random.default_rng(num_mels)
    for length in (321, 4_000, 31_999):
        compare(clip("speech-like", length, rng), 2, findings, num_mels=num_mels)
    findings.count("clips compared, mel", 3)


@pytest.mark.parametrize("length", [321, 959, 16_000, 480_000])
def test_silence_is_minus_one_and_a_half(length, findings):
    silent = np.zeros(length, dtype=np.float32)
    compare(silent, 30, findings)
    assert torch.all(log_mel(silent) == -1.5)


def test_constant_offset_and_clipping(findings):
    rng = np.random.default_rng(1)
    compare(np.full(5_000, 0.25, dtype=np.float32), 30, findings)
    compare(np.clip(4 * clip("tones", 9_000, rng), -1, 1), 30, findings)
    compare(1e-6 * clip("noise", 9_000, rng), 30, findings)


@pytest.mark.parametrize("num_mels", [80, 128])
def test_filters_are_the_extractors_and_librosas(num_mels, findings):
    import librosa

    filters = mel_filters(num_mels).numpy()
    theirs = extractor(30, num_mels).mel_filters
    slaney = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=400, n_mels=num_mels).T
    assert findings.difference("mel filters", np.abs(filters - theirs).max()) < 1e-7
    assert np.abs(filters - slaney).max() < 1e-7


def test_a_longer_window_changes_nothing_inside_the_clip():
    """Only the end of the window is mirrored; a clip that ends before it does not notice how long the window is."""
    samples = clip("noise", 20_000, np.random.default_rng(2))
    short, long = log_mel(samples, max_frames=200), log_mel(samples, max_frames=3000)
    assert torch.equal(short, long)


def test_longer_than_the_window_is_refused():
    with pytest.raises(ValueError, match="200 mel frames"):
        log_mel(np.zeros(32_001, dtype=np.float32), max_frames=200)
