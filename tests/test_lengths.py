"""The frame arithmetic: transformers' formulas for every length, and what the convolutions really read."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.qwen2_audio.modeling_qwen2_audio import Qwen2AudioEncoder

from q2a_core import lengths
from q2a_core.audio import mel
from q2a_core.audio.mel import power_spectrogram

EVERY_LENGTH = torch.arange(1, 3001)


def test_every_length_up_to_the_window_as_transformers_counts():
    encoder, tokens = Qwen2AudioEncoder._get_feat_extract_output_lengths(None, EVERY_LENGTH)
    assert torch.equal(lengths.encoder_frames(EVERY_LENGTH), encoder)
    assert torch.equal(lengths.audio_tokens(EVERY_LENGTH), tokens)


def test_integers_and_tensors_agree():
    for formula in (lengths.encoder_frames, lengths.audio_tokens, lengths.conv_mel_frames):
        assert formula(EVERY_LENGTH).tolist() == [formula(n) for n in EVERY_LENGTH.tolist()]
    samples = torch.arange(1, 5000)
    assert lengths.mel_frames(samples).tolist() == [lengths.mel_frames(n) for n in samples.tolist()]


@given(st.integers(1, 480_000))
def test_mel_frames_count_the_started_hops(samples):
    """As the extractor thins out its sample mask: every 160th of `samples` ones."""
    assert lengths.mel_frames(samples) == len(np.ones(samples, dtype=np.int8)[::160])


@given(st.integers(1, 480_000))
def test_longer_clips_never_have_fewer_tokens(samples):
    assert lengths.tokens_of_samples(samples + 1) - lengths.tokens_of_samples(samples) in (0, 1)
    assert lengths.tokens_of_samples(samples) == lengths.audio_tokens(lengths.mel_frames(samples))


def test_known_lengths():
    assert lengths.tokens_of_samples(lengths.MIN_SAMPLES) == 1
    assert lengths.tokens_of_samples(lengths.MIN_SAMPLES - 1) == 0
    assert lengths.tokens_of_samples(960) == 1
    assert lengths.tokens_of_samples(961) == 2
    assert lengths.tokens_of_samples(16_000) == 25
    assert lengths.tokens_of_samples(480_000) == 750
    assert (lengths.MEL_FRAME_RATE, lengths.ENCODER_FRAME_RATE, lengths.AUDIO_TOKEN_RATE) == (
        100,
        50,
        25,
    )
    assert (lengths.ENCODER_FRAME_SECONDS, lengths.TOKEN_SECONDS) == (0.02, 0.04)


def stem(mel: torch.Tensor) -> torch.Tensor:
    """Both convolutions with all weights one: (1, 1, F) -> (1, 1, E)."""
    kernel = torch.ones(1, 1, 3)
    return F.conv1d(F.conv1d(mel, kernel, padding=1), kernel, stride=lengths.CONV_STRIDE, padding=1)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 8, 99, 100, 101])
def test_the_convolutions_read_so_many_frames_and_no_more(frames):
    mel = torch.zeros(1, 1, frames + 20, requires_grad=True)
    stem(mel)[:, :, : lengths.encoder_frames(frames)].sum().backward()
    assert mel.grad is not None
    read = mel.grad[0, 0].nonzero().flatten()
    assert int(read.max()) + 1 == lengths.conv_mel_frames(frames)
    assert lengths.conv_mel_frames(frames) - frames in (1, 2)
    assert stem(torch.zeros(1, 1, frames)).shape[2] == lengths.encoder_frames(frames)


def test_token_spans_tile_the_clip():
    spans = [lengths.token_span(token) for token in range(750)]
    assert spans[0][0] == 0
    assert spans[-1][1] == 480_000
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert {stop - start for start, stop in spans} == {lengths.SAMPLES_PER_TOKEN} == {640}


@pytest.mark.parametrize("token", [2, 3, 11])
def test_the_receptive_field_is_what_a_token_depends_on(token):
    """By the gradient of one pooled token through the convolutions and the spectrogram."""
    start, stop = lengths.token_receptive_field(token)
    assert stop - start == lengths.RECEPTIVE_FIELD_SAMPLES
    rng = torch.Generator().manual_seed(0)
    waveform = torch.rand(16_000, generator=rng).requires_grad_()
    power = power_spectrogram(waveform, frames=100, window=16_000).sum(0)[None, None]
    pooled = F.avg_pool1d(stem(power), lengths.POOL_STRIDE, lengths.POOL_STRIDE)
    pooled[0, 0, token].backward()
    assert waveform.grad is not None
    seen = waveform.grad.nonzero().flatten()
    assert int(seen.min()) == start + 1  # the window's first sample weighs nothing
    assert int(seen.max()) == stop - 1


def test_a_token_stands_near_the_middle_of_what_it_sees():
    for token in (0, 1, 5, 700):
        (a, b), (start, stop) = lengths.token_span(token), lengths.token_receptive_field(token)
        assert start < a < b < stop
        assert abs((a + b) / 2 - (start + stop) / 2) < 200


@pytest.mark.parametrize("hop_length", [80, 160, 400])
def test_another_hop_counts_its_own_frames(hop_length):
    counted = [len(range(0, samples, hop_length)) for samples in range(1, 2000)]
    assert [lengths.mel_frames(samples, hop_length) for samples in range(1, 2000)] == counted


def test_a_longer_window_widens_the_field_at_both_ends():
    (a, b), (start, stop) = (
        lengths.token_receptive_field(7),
        lengths.token_receptive_field(7, n_fft=800),
    )
    assert (a - start, stop - b) == (200, 200)
    start, stop = lengths.token_receptive_field(7, hop_length=320)
    assert stop - start == 400 + 6 * 320


def test_a_mel_frame_reads_one_window_about_its_centre():
    """By the gradient of one frame through the spectrogram; 25 ms."""
    waveform = torch.rand(4000, generator=torch.Generator().manual_seed(0)).requires_grad_()
    power_spectrogram(waveform, frames=25, window=4000)[:, 9].sum().backward()
    assert waveform.grad is not None
    seen = waveform.grad.nonzero().flatten()
    start, stop = lengths.mel_frame_field(9)
    assert (start + 1, stop - 1) == (int(seen.min()), int(seen.max()))
    assert stop - start == lengths.N_FFT == 0.025 * lengths.SAMPLE_RATE


def test_the_context_is_the_clip_or_its_piece():
    window = 30 * lengths.SAMPLE_RATE
    assert lengths.token_context(0, 16_000, window) == (0, 16_000)
    assert lengths.token_context(24, 16_000, window) == (0, 16_000)
    assert lengths.token_context(749, 1_000_000, window) == (0, window)
    assert lengths.token_context(750, 1_000_000, window) == (window, 2 * window)
    assert lengths.token_context(1500, 1_000_000, window) == (2 * window, 1_000_000)
    assert lengths.token_context(750, window + 160, window) == (window - 161, window + 160)


@pytest.mark.parametrize("samples", [1, 321, 5000, 5001, 5320, 5321, 10_000, 10_007])
def test_pieces_are_the_whole_clip_and_each_holds_a_token(samples):
    pieces = lengths.pieces(samples, 5000)
    assert (pieces[0][0], pieces[-1][1]) == (0, samples)
    assert all(stop == start for (_, stop), (start, _) in pairwise(pieces))
    assert all(stop - start <= 5000 for start, stop in pieces)
    assert len(pieces) == -(-samples // 5000)
    assert len(pieces) == 1 or all(lengths.tokens_of_samples(b - a) for a, b in pieces)


def test_a_front_end_that_was_first_used_without_gradients_still_gives_them():
    mel._hann.cache_clear()
    mel.mel_filters.cache_clear()
    with torch.inference_mode():
        mel.log_mel(torch.rand(800))
    waveform = torch.rand(800).requires_grad_()
    mel.log_mel(waveform).sum().backward()
    assert waveform.grad is not None


@given(st.integers(1, 4000), st.integers(1, 10**7))
def test_what_is_too_long_is_never_told_as_the_limit(limit, over):
    """In samples, from one too many; the least number of decimals, but no false one."""
    seconds = limit + over / lengths.SAMPLE_RATE
    told = lengths.beyond(seconds, limit)
    number = float(told.removesuffix(" s").replace(",", ""))
    assert limit < number
    assert abs(number - seconds) <= 0.05 + 1e-9
    assert (lengths.beyond(30.04, 30), lengths.beyond(3601, 3600)) == ("30.04 s", "3,601 s")
