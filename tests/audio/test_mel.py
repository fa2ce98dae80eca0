"""The log-mel of what callers hand over: read forwards, refused with a sentence, whatever torch's default type is."""

import numpy as np
import pytest
import torch

from q2a_core.audio import mel
from q2a_core.audio.mel import log_mel, mel_centres, mel_filters, power_spectrogram


def _clip(seconds: float = 0.5) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(int(seconds * 16_000)).astype(np.float32)


def test_a_clip_read_backwards():
    clip = _clip()
    assert torch.equal(log_mel(clip[::-1]), log_mel(clip[::-1].copy()))


@pytest.mark.parametrize("samples", [np.float32(1), np.zeros((2, 400), np.float32), np.zeros(0)])
def test_what_is_no_mono_clip_is_refused(samples):
    with pytest.raises(ValueError, match=r"expected mono samples \(S,\)"):
        log_mel(samples)


def test_another_default_type_changes_nothing(monkeypatch):
    expected = log_mel(_clip())
    mel._hann.cache_clear()
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(log_mel(_clip()), expected)
    finally:
        torch.set_default_dtype(torch.float32)
        mel._hann.cache_clear()


@pytest.mark.parametrize("num_mels", [20, 40])
def test_centres_are_where_the_filters_hear_most(num_mels):
    peaks = mel_filters(num_mels).argmax(0).numpy() * 40.0  # a bin of the spectrum is 40 Hz wide
    assert np.abs(mel_centres(num_mels) - peaks).max() < 30


def test_products_by_bands_are_one_product_with_all_filters_gradients_too():
    samples = torch.from_numpy(np.random.default_rng(5).normal(0, 0.1, 9_000).astype(np.float32))
    found = {}
    for name in ("ours", "whole"):
        asked = samples.clone().requires_grad_()
        if name == "ours":
            heard = log_mel(asked)
        else:
            frames = log_mel(samples).shape[1]
            power = power_spectrogram(asked, frames=frames, window=480_000)
            whole = (mel_filters().T @ power).clamp(min=1e-10).log10()
            heard = (torch.maximum(whole, whole.max() - 8.0) + 4.0) / 4.0
        heard.square().mean().backward()
        found[name] = (heard.detach(), asked.grad)
    for ours, whole in zip(found["ours"], found["whole"], strict=True):
        torch.testing.assert_close(ours, whole, rtol=1e-4, atol=1e-6)
