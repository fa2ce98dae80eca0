"""The encoder computes what exists: equal to the clip padded to the window, whatever lies beside or behind it."""

from itertools import accumulate

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.profiler import ProfilerActivity, profile

from q2a_core import Qwen2Audio, presets
from q2a_core.config import EncoderConfig
from q2a_core.lengths import audio_tokens, conv_mel_frames, encoder_frames
from q2a_core.model.audio_encoder import GROUP_RATIO, EncoderBlock, length_groups, sinusoids

WINDOW = 500
TOLERANCE = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(scope="module")
def encoder():
    model = Qwen2Audio(presets.tiny()).eval()
    model.init_weights(torch.Generator().manual_seed(0))
    return model.audio_encoder


def random_mel(clips: int, frames: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(clips, 128, frames, generator=torch.Generator().manual_seed(seed))


def padded_to_window(encoder, mel: torch.Tensor, frames: int) -> torch.Tensor:
    """Audio tokens as transformers computes them: the whole window, masked keys, then the pool."""
    x = encoder.conv_stem(mel) + encoder.embed_positions.weight
    lengths = torch.tensor([encoder_frames(frames)])
    for block in encoder.layers:
        x = block(x, lengths, "reference")
    return encoder.pool(x)[:, : audio_tokens(frames)]


@torch.inference_mode()
@pytest.mark.parametrize("frames", [3, 4, 5, 6, 7, 99, 100, 101, 102, 498, 499, 500])
def test_equal_to_the_result_padded_to_the_window(encoder, frames):
    mel = random_mel(1, WINDOW)
    expected = padded_to_window(encoder, mel, frames)
    needed = min(conv_mel_frames(frames), WINDOW)
    found = encoder(mel[:, :, :needed], torch.tensor([frames]))[:, : audio_tokens(frames)]
    torch.testing.assert_close(found, expected, **TOLERANCE)


@torch.inference_mode()
@pytest.mark.parametrize(
    "lengths",
    [[100, 100], [100, 99], [100, 76, 75, 74], [500, 3], [9, 500, 400, 20, 11], [3, 4, 5, 6, 7]],
    ids=str,
)
def test_a_ragged_batch_equals_its_clips_alone(encoder, lengths):
    mel = random_mel(len(lengths), min(conv_mel_frames(max(lengths)), WINDOW))
    together = encoder(mel, torch.tensor(lengths))
    for clip, frames in enumerate(lengths):
        needed = min(conv_mel_frames(frames), WINDOW)
        alone = encoder(mel[clip : clip + 1, :, :needed], torch.tensor([frames]))
        count = audio_tokens(frames)
        torch.testing.assert_close(together[clip, :count], alone[0, :count], **TOLERANCE)


@torch.inference_mode()
@pytest.mark.parametrize("junk", [0.0, 1e4, float("nan"), float("inf")], ids=str)
def test_what_lies_behind_a_clip_does_not_matter(encoder, junk):
    """From the first frame that the convolutions do not read on; NaN must not leak through a masked key either."""
    lengths = [100, 90, 80, 40]
    mel = random_mel(4, conv_mel_frames(100))
    clean = encoder(mel, torch.tensor(lengths))
    for clip, frames in enumerate(lengths):
        mel[clip, :, conv_mel_frames(frames) :] = junk
    dirty = encoder(mel, torch.tensor(lengths))
    for clip, frames in enumerate(lengths):
        count = audio_tokens(frames)
        torch.testing.assert_close(dirty[clip, :count], clean[clip, :count], **TOLERANCE)


@torch.inference_mode()
def test_the_frames_right_after_a_clip_do_matter(encoder):
    """The one or two frames that leak through the convolutions are part of the result, as in transformers."""
    mel = random_mel(1, conv_mel_frames(99))
    changed = mel.clone()
    changed[:, :, 99] += 1
    tokens = encoder(mel, torch.tensor([99]))[0, : audio_tokens(99)]
    other = encoder(changed, torch.tensor([99]))[0, : audio_tokens(99)]
    assert (tokens - other).abs().max() > 1e-4


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=40))
def test_length_groups(lengths):
    """Every clip once, longest first, and no clip beside one that is much longer."""
    groups = length_groups(lengths)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        inside = [lengths[index] for index in group]
        assert inside == sorted(inside, reverse=True)
        assert inside[-1] >= GROUP_RATIO * inside[0]
    firsts = [lengths[group[0]] for group in groups]
    lasts = [lengths[group[-1]] for group in groups]
    assert all(last > first for last, first in zip(lasts, firsts[1:], strict=False))
    padded = sum(lengths[group[0]] * len(group) for group in groups)
    assert padded * GROUP_RATIO <= sum(lengths)


def test_a_short_clip_is_not_padded_to_a_long_one():
    assert length_groups([100, 3000, 99, 2900]) == [[1, 3], [0, 2]]


def test_fp16_does_not_overflow_between_blocks():
    block = EncoderBlock(EncoderConfig(d_model=8, num_heads=2, d_ff=8)).half()
    block.fc2.bias.data.fill_(60_000)
    x = torch.full((1, 3, 8), 30_000, dtype=torch.float16)
    assert block(x, None).isfinite().all()


def test_sinusoids_begin_with_sines():
    table = sinusoids(10, 8)
    assert table.shape == (10, 8)
    assert table[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    torch.testing.assert_close(table[:, 0], torch.arange(10.0).sin())
    torch.testing.assert_close(table[:, 3], (torch.arange(10.0) * 1e-4).sin())


@pytest.mark.parametrize(
    ("shape", "lengths", "message"),
    [
        ((1, 80, 50), [40], "expected \\(clips, 128, frames\\)"),
        ((2, 128, 50), [40], "for 1 clips"),
        ((128, 50), [40], "expected \\(clips, 128, frames\\)"),
        ((1, 128, 50), [0], "expected 1 to 500"),
        ((1, 128, 600), [501], "the window of 5 s"),
        ((1, 128, 100), [100], "the convolutions read 101"),
    ],
    ids=str,
)
def test_shapes_that_do_not_fit_are_refused(encoder, shape, lengths, message):
    with pytest.raises(ValueError, match=message):
        encoder(torch.zeros(shape), torch.tensor(lengths))


def test_positions_take_no_gradient(encoder):
    mel = random_mel(1, 21)
    encoder(mel, torch.tensor([20])).sum().backward()
    assert encoder.embed_positions.weight.grad is None
    assert encoder.conv1.weight.grad is not None
    encoder.zero_grad(set_to_none=True)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_clip_too_short_for_a_token_makes_none(encoder, frames):
    mel = torch.randn(1, 128, 6, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        assert encoder(mel, torch.tensor([frames])).shape == (1, 0, encoder.config.d_model)


def test_no_clips_are_refused(encoder):
    with pytest.raises(ValueError, match="0 clips; expected"):
        encoder(torch.zeros(0, 128, 10), torch.tensor([], dtype=torch.long))


def peak_bytes(encoder, frames: int) -> int:
    """The most that one pass holds at once beside weights and input."""
    mel, lengths = random_mel(1, min(conv_mel_frames(frames), WINDOW)), torch.tensor([frames])
    encoder(mel, lengths)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        encoder(mel, lengths)
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = [e.nbytes() for e in sorted(events, key=lambda event: event.start_ns())]
    return max(accumulate(held))


@torch.inference_mode()
@pytest.mark.parametrize(("backend", "growth"), [("sdpa", (4.9, 5.1)), ("reference", (6.0, 25.0))])
def test_memory_grows_with_the_clip_as_no_map_is_held(encoder, monkeypatch, backend, growth):
    monkeypatch.setattr(encoder, "backend", backend)
    low, high = growth
    assert low < peak_bytes(encoder, 500) / peak_bytes(encoder, 100) < high
