"""The model's dimensions from and to a Hugging Face `config.json`.

A published config lists few fields; what it leaves out is the default of transformers' Qwen2AudioEncoderConfig or
Qwen2Config, which `config.py` repeats. A field that would change the computation in a way this code does not have
(another activation, scaled rotary positions, a sliding window) is refused by name instead of ignored.
"""

from typing import Any

from q2a_core.config import DecoderConfig, EncoderConfig, ModelConfig
from q2a_core.errors import CheckpointError

ENCODER_ALIASES = {
    "hidden_size": "d_model",
    "num_hidden_layers": "encoder_layers",
    "num_attention_heads": "encoder_attention_heads",
    "intermediate_size": "encoder_ffn_dim",
}
"""The common names that transformers takes for the encoder's own; where both are there, the common one counts."""


def config_from_hf(values: dict[str, Any]) -> ModelConfig:
    """Read a Hugging Face `config.json` of model type `qwen2_audio`.

    Raises CheckpointError for another model type and for settings that this implementation does not have.
    """
    model_type = values.get("model_type")
    if model_type != "qwen2_audio":
        raise CheckpointError(f"config.json says model_type {model_type!r}; expected 'qwen2_audio'")
    audio = _part(values, "audio_config", "qwen2_audio_encoder")
    audio |= {own: audio[name] for name, own in ENCODER_ALIASES.items() if name in audio}
    text = _part(values, "text_config", "qwen2")
    _refuse(audio, "audio_config", activation_function="gelu")
    _refuse(text, "text_config", hidden_act="silu", use_mrope=False, is_causal=True)
    _refuse_other_layers(text)
    encoder = EncoderConfig(
        num_mel_bins=_int(audio, "num_mel_bins", 128),
        d_model=_int(audio, "d_model", 1280),
        num_layers=_int(audio, "encoder_layers", 32),
        num_heads=_int(audio, "encoder_attention_heads", 20),
        d_ff=_int(audio, "encoder_ffn_dim", 5120),
        max_source_positions=_int(audio, "max_source_positions", 1500),
    )
    num_heads = _int(text, "num_attention_heads", 32)
    kv_heads = text.get("num_key_value_heads", 32)
    decoder = DecoderConfig(
        vocab_size=_int(text, "vocab_size", 151_936),
        d_model=_int(text, "hidden_size", 4096),
        num_layers=_int(text, "num_hidden_layers", 32),
        num_heads=num_heads,
        num_kv_heads=num_heads if kv_heads is None else _int(text, "num_key_value_heads", 32),
        d_ff=_int(text, "intermediate_size", 22_016),
        max_positions=_int(text, "max_position_embeddings", 32_768),
        rope_theta=_rope_theta(text),
        rms_norm_eps=_float(text, "rms_norm_eps", 1e-6),
        tie_word_embeddings=_bool(text, "tie_word_embeddings"),
    )
    _bool(values, "tie_word_embeddings")
    if text.get("head_dim") is not None and _int(text, "head_dim", 0) != decoder.head_dim:
        raise CheckpointError(
            f"text_config.head_dim is {text['head_dim']}; expected {decoder.head_dim}, the width over the heads"
        )
    return ModelConfig(encoder=encoder, decoder=decoder, audio_token_id=_audio_token_id(values))


def config_to_hf(config: ModelConfig) -> dict[str, Any]:
    """The `config.json` that transformers 4 and 5 read as the same model, computed in fp32."""
    encoder, decoder = config.encoder, config.decoder
    return {
        "architectures": ["Qwen2AudioForConditionalGeneration"],
        "model_type": "qwen2_audio",
        "audio_token_index": config.audio_token_id,
        "ignore_index": -100,
        "torch_dtype": "float32",
        "tie_word_embeddings": decoder.tie_word_embeddings,
        "audio_config": {
            "model_type": "qwen2_audio_encoder",
            "num_mel_bins": encoder.num_mel_bins,
            "d_model": encoder.d_model,
            "encoder_layers": encoder.num_layers,
            "encoder_attention_heads": encoder.num_heads,
            "encoder_ffn_dim": encoder.d_ff,
            "max_source_positions": encoder.max_source_positions,
            "activation_function": "gelu",
            "scale_embedding": False,
        },
        "text_config": {
            "model_type": "qwen2",
            "vocab_size": decoder.vocab_size,
            "hidden_size": decoder.d_model,
            "num_hidden_layers": decoder.num_layers,
            "num_attention_heads": decoder.num_heads,
            "num_key_value_heads": decoder.num_kv_heads,
            "intermediate_size": decoder.d_ff,
            "max_position_embeddings": decoder.max_positions,
            "rope_theta": decoder.rope_theta,
            "rms_norm_eps": decoder.rms_norm_eps,
            "tie_word_embeddings": decoder.tie_word_embeddings,
            "hidden_act": "silu",
            "use_sliding_window": False,
        },
    }


def _part(values: dict[str, Any], name: str, model_type: str) -> dict[str, Any]:
    """A copy of one of the two sub-configs; where it is absent, everything has its default."""
    if name in values and values[name] is None:
        raise CheckpointError(
            f"config.json: {name} is null; expected an object, or the published defaults by leaving it out"
        )
    part = dict(_section(values, name))
    if part.get("model_type") not in (None, model_type):
        raise CheckpointError(
            f"{name}.model_type is {part['model_type']!r}; this implementation has {model_type!r} only, as Qwen2-Audio"
        )
    return part


def _section(values: dict[str, Any], name: str) -> dict[str, Any]:
    section = values.get(name) or {}
    if not isinstance(section, dict):
        raise CheckpointError(
            f"config.json: {name} is {type(section).__name__}; expected an object"
        )
    return section


def _int(section: dict[str, Any], name: str, default: int) -> int:
    value = section.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CheckpointError(f"config.json: {name} is {value!r}; expected a whole number")
    return value


def _bool(section: dict[str, Any], name: str) -> bool:
    value = section.get(name)
    if not isinstance(value, bool | None):
        raise CheckpointError(f"config.json: {name} is {value!r}; expected true or false")
    return bool(value)


def _float(section: dict[str, Any], name: str, default: float) -> float:
    value = section.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise CheckpointError(f"config.json: {name} is {value!r}; expected a number")
    return float(value)


def _refuse(section: dict[str, Any], where: str, **supported: Any) -> None:
    for name, value in supported.items():
        if section.get(name, value) != value:
            raise CheckpointError(
                f"{where}.{name} is {section[name]!r}; this implementation computes {value!r} only, as Qwen2-Audio does"
            )


def _audio_token_id(values: dict[str, Any]) -> int:
    names = [name for name in ("audio_token_index", "audio_token_id") if name in values]
    ids = [_int(values, name, 0) for name in names] or [151_646]
    if len(set(ids)) > 1:
        raise CheckpointError(
            f"config.json: audio_token_index is {ids[0]} and audio_token_id is {ids[1]}; they name the same token, so "
            "keep the right one"
        )
    return ids[0]


def _refuse_other_layers(text: dict[str, Any]) -> None:
    """Qwen2Config: without `layer_types` the window slides from block `max_window_layers` on."""
    kinds = text.get("layer_types")
    if kinds is not None:
        if not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds):
            raise CheckpointError(
                f"text_config.layer_types is {str(kinds)[:80]}; expected 'full_attention' only"
            )
    elif (
        _bool(text, "use_sliding_window")
        and text.get("sliding_window", 4096) is not None
        and _int(text, "max_window_layers", 28) < _int(text, "num_hidden_layers", 32)
    ):
        raise CheckpointError(
            "text_config.use_sliding_window is True and max_window_layers below the number of layers; "
            "this implementation computes full attention only, as Qwen2-Audio does"
        )


def _rope_theta(text: dict[str, Any]) -> float:
    """Transformers 5 writes `rope_parameters`, the hub's file has `rope_theta`, and `rope_scaling` goes before both."""
    name = "rope_scaling" if text.get("rope_scaling") else "rope_parameters"
    rope = _section(text, name)
    nested = [key for key, value in rope.items() if isinstance(value, dict)]
    if nested:
        raise CheckpointError(
            f"text_config.{name}.{nested[0]} is an object; expected one rope_type and rope_theta for all layers"
        )
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise CheckpointError(
            f"rotary positions of type {kind!r} are not supported; expected 'default'"
        )
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise CheckpointError(
            "partial rotary positions are not supported; expected partial_rotary_factor 1.0"
        )
    return _float(rope if "rope_theta" in rope else text, "rope_theta", 10_000.0)
