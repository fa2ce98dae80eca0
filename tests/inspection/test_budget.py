"""The token budget, against what the model, the cache and the chat really make of a clip."""

import json

import numpy as np
import pytest
import torch

from q2a_core import lengths, presets
from q2a_core.audio import load_waveform
from q2a_core.audio.mel import log_mel
from q2a_core.checkpoint import open_checkpoint, save_checkpoint
from q2a_core.config_json import config_to_hf
from q2a_core.errors import CheckpointError
from q2a_core.inference.clips import read_clips
from q2a_core.inspection.budget import Dimensions, read_dimensions, token_budget
from q2a_core.model import KVCache


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.3, 0.3, samples).astype(np.float32)


@pytest.mark.parametrize("samples", [321, 960, 961, 16_000, 79_999, 80_000])
def test_the_model_makes_what_the_budget_says(tiny_model, samples):
    budget = token_budget(samples, Dimensions(config=tiny_model.config, dtype="float32"))
    mel = log_mel(noise(samples), max_frames=tiny_model.config.encoder.max_mel_frames)
    frames = torch.tensor([lengths.mel_frames(samples)])
    tokens = tiny_model.encode_audio(mel[None], frames)
    cache = KVCache(tiny_model.config.decoder, batch_size=1, max_length=len(tokens))
    assert (budget.samples, budget.mel_frames) == (samples, int(frames))
    assert budget.audio_tokens == len(tokens)
    assert budget.kv_bytes == cache.memory.nbytes
    assert (budget.windows, budget.padded_frames) == (1, 250)


@pytest.mark.parametrize("samples", [80_001, 80_320, 80_321, 120_000, 160_000, 160_001])
def test_a_long_clip_is_cut_as_the_chat_cuts_it(tiny_model, chat_format, tmp_path, samples):
    save_checkpoint(tiny_model, tmp_path / "tiny", chat_format=chat_format)
    waveform = load_waveform(noise(samples), sample_rate=lengths.SAMPLE_RATE)
    window = tiny_model.config.encoder.max_samples
    pieces = [len(p.samples) for p in read_clips(waveform, window=window, split="window")]
    budget = token_budget(samples, read_dimensions(tmp_path / "tiny"))
    assert budget.windows == len(pieces)
    assert budget.audio_tokens == sum(lengths.tokens_of_samples(piece) for piece in pieces)
    assert sum(pieces) == samples


def test_the_published_model_needs_half_a_megabyte_a_token():
    """32 layers, keys and values, 32 heads of 128, two bytes: 524,288."""
    budget = token_budget(480_000, Dimensions(config=presets.qwen2_audio_7b(), dtype="bfloat16"))
    assert (budget.mel_frames, budget.encoder_frames, budget.audio_tokens) == (3000, 1500, 750)
    assert budget.kv_bytes == 750 * 524_288
    assert budget.seconds == 30


def test_dimensions_are_the_checkpoint_s(tmp_path):
    values = config_to_hf(presets.mini()) | {"torch_dtype": "float16"}
    (tmp_path / "config.json").write_text(json.dumps(values), "utf-8")
    assert read_dimensions(tmp_path) == Dimensions(config=presets.mini(), dtype="float16")


@pytest.mark.parametrize("stored", ["float32", "bfloat16", "float16"])
def test_a_precision_that_is_not_named_is_that_of_the_weights(
    tiny_model, chat_format, tmp_path, stored
):
    dtype = getattr(torch, stored)
    directory = save_checkpoint(tiny_model, tmp_path / "a", chat_format=chat_format, dtype=dtype)
    values = json.loads((directory / "config.json").read_text("utf-8"))
    del values["torch_dtype"]
    (directory / "config.json").write_text(json.dumps(values), "utf-8")
    found = read_dimensions(directory)
    assert found.dtype == stored
    assert open_checkpoint(directory).dtype == dtype
    assert (
        found.kv_bytes(7) == open_checkpoint(directory).load_model().new_cache(1, 7).memory.nbytes
    )


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        (None, "no readable config.json"),
        ("{", "no readable config.json"),
        ("[]", "expected an object"),
        ('{"model_type": "qwen2_audio", "torch_dtype": "int4"}', "dtype 'int4'"),
        ('{"model_type": "llama"}', "model_type 'llama'"),
    ],
)
def test_what_is_no_checkpoint_is_said(tmp_path, text, fragment):
    if text is not None:
        (tmp_path / "config.json").write_text(text, "utf-8")
    with pytest.raises(CheckpointError, match=fragment):
        read_dimensions(tmp_path)
