"""config.json in and out: round trips, what transformers makes of it, and settings that must not be ignored."""

import copy
import json
import math
from dataclasses import FrozenInstanceError, asdict, replace

import numpy as np
import pytest
from transformers import Qwen2AudioConfig

from q2a_core import presets
from q2a_core.config import DecoderConfig, EncoderConfig, ModelConfig
from q2a_core.config_json import config_from_hf, config_to_hf
from q2a_core.errors import CheckpointError


def random_config(seed: int) -> ModelConfig:
    rng = np.random.default_rng(seed)
    heads, kv_heads = int(rng.choice([4, 8])), int(rng.choice([1, 2, 4]))
    return ModelConfig(
        encoder=EncoderConfig(
            num_mel_bins=int(rng.integers(1, 200)),
            d_model=6 * int(rng.integers(1, 50)),
            num_layers=int(rng.integers(1, 40)),
            num_heads=int(rng.choice([1, 2, 3])),
            d_ff=int(rng.integers(1, 500)),
            max_source_positions=int(rng.integers(1, 2000)),
        ),
        decoder=DecoderConfig(
            vocab_size=int(rng.integers(10, 500)),
            d_model=heads * 2 * int(rng.integers(1, 20)),
            num_layers=int(rng.integers(1, 40)),
            num_heads=heads,
            num_kv_heads=kv_heads,
            d_ff=int(rng.integers(1, 500)),
            max_positions=int(rng.integers(1, 9000)),
            rope_theta=float(rng.choice([1e4, 1e6])),
            rms_norm_eps=float(rng.choice([1e-5, 1e-6])),
            tie_word_embeddings=bool(rng.integers(0, 2)),
        ),
        audio_token_id=int(rng.integers(0, 10)),
    )


@pytest.mark.parametrize("seed", range(12))
def test_round_trip_through_json_and_through_transformers(seed):
    config = random_config(seed)
    written = json.loads(json.dumps(config_to_hf(config)))
    assert config_from_hf(written) == config
    theirs = Qwen2AudioConfig.from_dict(copy.deepcopy(written)).to_dict()
    assert config_from_hf(json.loads(json.dumps(theirs, default=str))) == config


def test_presets_survive_the_round_trip():
    for preset in (presets.tiny(), presets.mini(), presets.qwen2_audio_7b()):
        assert config_from_hf(config_to_hf(preset)) == preset


def test_an_empty_config_is_transformers_defaults():
    """Every field that a published config leaves out, text and audio, has the default of transformers' classes."""
    defaults = Qwen2AudioConfig.from_dict({"model_type": "qwen2_audio"}).to_dict()
    assert config_from_hf(
        {"model_type": "qwen2_audio", "text_config": {"vocab_size": 151_936}}
    ) == (config_from_hf(defaults))


def test_the_published_7b():
    config = presets.qwen2_audio_7b()
    assert asdict(config.encoder) == {
        "num_mel_bins": 128,
        "d_model": 1280,
        "num_layers": 32,
        "num_heads": 20,
        "d_ff": 5120,
        "max_source_positions": 1500,
    }
    assert config.decoder.head_dim == 128
    assert config.decoder.num_kv_heads == config.decoder.num_heads == 32
    assert not config.decoder.tie_word_embeddings
    assert config.encoder.max_seconds == 30
    assert config.encoder.max_mel_frames == 3000
    assert config.encoder.max_samples == 480_000


def test_mini_is_the_same_architecture_under_three_million():
    import torch

    from q2a_core.model import Qwen2Audio

    with torch.device("meta"):
        parameters = sum(p.numel() for p in Qwen2Audio(presets.mini()).parameters())
    assert parameters <= 3_000_000
    assert presets.mini().encoder.max_seconds == 30
    assert presets.mini().decoder.num_kv_heads < presets.mini().decoder.num_heads


def hub_config(**text: object) -> dict:
    values = config_to_hf(presets.tiny())
    values["text_config"] |= text
    return values


@pytest.mark.parametrize(
    "text",
    [
        {"rope_theta": 500_000},
        {"rope_parameters": {"rope_theta": 500_000, "rope_type": "default"}, "rope_theta": 1},
        {"rope_scaling": {"type": "default"}, "rope_theta": 500_000.0},
        {"rope_scaling": None, "rope_theta": 500_000},
        {"rope_parameters": {"rope_theta": 5e5, "partial_rotary_factor": 1.0}},
        {
            "rope_theta": 500_000,
            "rope_scaling": {"rope_type": "default"},
            "rope_parameters": {"rope_type": "default", "rope_theta": 50},
        },
        {
            "rope_theta": 1,
            "rope_scaling": {"rope_type": "default", "rope_theta": 5e5},
            "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 50},
        },
        {"rope_theta": 1, "rope_scaling": {}, "rope_parameters": {"rope_theta": 5e5}},
    ],
    ids=str,
)
def test_every_layout_of_the_rotary_base(text):
    values = hub_config(**text)
    if "rope_theta" not in text:
        values["text_config"].pop("rope_theta")
    assert config_from_hf(values).decoder.rope_theta == 500_000.0
    theirs = Qwen2AudioConfig.from_dict(copy.deepcopy(values))
    assert theirs.text_config.rope_parameters["rope_theta"] == 500_000.0
    assert theirs.text_config.rope_parameters["rope_type"] == "default"


@pytest.mark.parametrize(
    "audio",
    [
        {"hidden_size": 32, "num_hidden_layers": 5, "num_attention_heads": 4},
        {"intermediate_size": 200},
        {"encoder_layers": 3, "num_hidden_layers": 5},
        {"num_hidden_layers": 5, "encoder_layers": 3},
    ],
    ids=str,
)
def test_the_encoder_in_the_common_names(audio):
    """Beside the encoder's own names, in either order, and instead of them."""
    written = hub_config()
    beside = written | {"audio_config": written["audio_config"] | audio}
    for values in (beside, written | {"audio_config": audio}):
        theirs = Qwen2AudioConfig.from_dict(copy.deepcopy(values)).audio_config
        found = config_from_hf(values).encoder
        assert (found.d_model, found.num_layers, found.num_heads, found.d_ff) == (
            theirs.d_model,
            theirs.encoder_layers,
            theirs.encoder_attention_heads,
            theirs.encoder_ffn_dim,
        )


@pytest.mark.parametrize(
    "text",
    [
        {"use_sliding_window": True},  # max_window_layers is 28 by default
        {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 2},
        {"use_sliding_window": True, "sliding_window": None, "max_window_layers": 0},
        {
            "use_sliding_window": True,
            "max_window_layers": 0,
            "layer_types": ["full_attention", "full_attention"],
        },
    ],
    ids=str,
)
def test_a_window_that_slides_in_no_layer_is_none(text):
    theirs = Qwen2AudioConfig.from_dict(hub_config(**copy.deepcopy(text))).text_config
    assert set(theirs.layer_types) == {"full_attention"}
    assert config_from_hf(hub_config(**text)) == config_from_hf(hub_config())


def test_key_value_heads_left_open():
    """Qwen2Config: absent means 32, null means as many as query heads."""
    assert config_from_hf(hub_config(num_key_value_heads=None)).decoder.num_kv_heads == 4


REFUSED = {
    "another model": ({"model_type": "qwen2_5_omni"}, {}, "expected 'qwen2_audio'"),
    "no model type": ({"model_type": None}, {}, "expected 'qwen2_audio'"),
    "another activation": ({}, {"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
    "multimodal rope": ({}, {"use_mrope": True}, "use_mrope is True"),
    "sliding window": (
        {},
        {"use_sliding_window": True, "max_window_layers": 1},
        "use_sliding_window is True",
    ),
    "sliding window as text": (
        {},
        {"use_sliding_window": "false"},
        "use_sliding_window is 'false'",
    ),
    "attention both ways": ({}, {"is_causal": False}, "is_causal is False"),
    "another decoder": ({}, {"model_type": "qwen3"}, "text_config.model_type is 'qwen3'"),
    "another encoder": (
        {"audio_config": {"model_type": "whisper"}},
        {},
        "audio_config.model_type is 'whisper'",
    ),
    "rope by kind of layer": (
        {},
        {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 50}}},
        "rope_parameters.full_attention is an object",
    ),
    "scaled rope beside default": (
        {},
        {"rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_theta": 50}},
        "'linear'",
    ),
    "head width as text": ({}, {"head_dim": "8"}, "head_dim is '8'"),
    "tied as text": ({}, {"tie_word_embeddings": "false"}, "tie_word_embeddings is 'false'"),
    "tied at the top as text": ({"tie_word_embeddings": "false"}, {}, "embeddings is 'false'"),
    "text part is null": ({"text_config": None}, {}, "text_config is null"),
    "audio part is null": ({"audio_config": None}, {}, "audio_config is null"),
    "two audio tokens": ({"audio_token_id": 7}, {}, "index is 3 and audio_token_id is 7"),
    "sliding layers": ({}, {"layer_types": ["full_attention", "sliding_attention"]}, "layer_types"),
    "yarn": ({}, {"rope_scaling": {"type": "yarn", "factor": 4}}, "'yarn'"),
    "linear rope": ({}, {"rope_parameters": {"rope_type": "linear"}}, "'linear'"),
    "partial rope": ({}, {"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial"),
    "head width of its own": ({}, {"head_dim": 64}, "head_dim is 64"),
    "heads do not divide": ({}, {"num_attention_heads": 5}, "multiple of its 5 heads"),
    "key heads do not divide": ({}, {"num_key_value_heads": 3}, "cannot share 3"),
    "odd head width": ({}, {"hidden_size": 36, "num_attention_heads": 4}, "odd"),
    "no layers": ({}, {"num_hidden_layers": 0}, "expected a positive"),
    "negative width": ({}, {"hidden_size": -32}, "expected a positive"),
    "width as text": ({}, {"hidden_size": "32"}, "expected a whole number"),
    "width as fraction": ({}, {"hidden_size": 32.0}, "expected a whole number"),
    "layers as truth value": ({}, {"num_hidden_layers": True}, "expected a whole number"),
    "a million layers": ({}, {"num_hidden_layers": 10**6}, "num_hidden_layers|num_layers"),
    "a width beyond memory": ({}, {"hidden_size": 2**60}, "d_model"),
    "epsilon as text": ({}, {"rms_norm_eps": "tiny"}, "rms_norm_eps"),
    "epsilon as null": ({}, {"rms_norm_eps": None}, "rms_norm_eps"),
    "epsilon not a number": ({}, {"rms_norm_eps": math.nan}, "rms_norm_eps"),
    "rotary base as text": ({}, {"rope_theta": "big"}, "rope_theta"),
    "rotary base as list": ({}, {"rope_parameters": [1]}, "rope_parameters"),
    "layer types as number": ({}, {"layer_types": 3}, "layer_types"),
    "text part is a list": ({"text_config": [1]}, {}, "text_config is list"),
    "audio part is text": ({"audio_config": "whisper"}, {}, "audio_config is str"),
    "audio token beyond the vocabulary": ({"audio_token_index": 320}, {}, "outside the vocabulary"),
    "audio token as text": ({"audio_token_index": "<|AUDIO|>"}, {}, "audio_token_index"),
    "audio token is null": ({"audio_token_index": None}, {}, "audio_token_index"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_implemented_is_refused_by_name(name):
    top, text, message = REFUSED[name]
    with pytest.raises(CheckpointError, match=message):
        config_from_hf(hub_config(**text) | top)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        ({"activation_function": "relu"}, "activation_function"),
        ({"d_model": 49}, "multiple of its 3 heads"),
        ({"d_model": 51}, "odd"),
        ({"max_source_positions": 0}, "expected a positive"),
    ],
    ids=str,
)
def test_encoder_settings_are_checked_too(audio, message):
    values = hub_config()
    values["audio_config"] |= audio
    with pytest.raises(CheckpointError, match=message):
        config_from_hf(values)


def test_records_are_frozen():
    config = presets.tiny()
    with pytest.raises(FrozenInstanceError):
        config.audio_token_id = 4  # pyright: ignore[reportAttributeAccessIssue]
    assert replace(config, audio_token_id=4) != config
