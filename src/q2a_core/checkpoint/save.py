"""Writing a checkpoint in the hub's layout, whole or not at all.

Everything is written into a hidden directory beside the target, flushed to disk, and only then renamed. A kill or a
full disk at any moment leaves the old checkpoint as it was.
"""

import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import torch

from q2a_core.checkpoint.source import set_aside
from q2a_core.checkpoint.templates import DEFAULT_TEMPLATE, TEMPLATE_FILE
from q2a_core.checkpoint.weights import RUN_LOG_FILE, TRAINING_FILE, hub_state
from q2a_core.config_json import config_to_hf
from q2a_core.errors import CheckpointError
from q2a_core.lengths import HOP_LENGTH, N_FFT, SAMPLE_RATE
from q2a_core.model import Qwen2Audio
from q2a_core.text import ChatFormat
from q2a_core.text.special_tokens import AUDIO_TOKEN


def save_checkpoint(
    model: Qwen2Audio,
    directory: str | Path,
    *,
    chat_format: ChatFormat,
    generation_config: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.float16,
    about: dict[str, Any] | None = None,
    model_card: str | None = None,
    training: dict[str, torch.Tensor] | None = None,
    run_log: str | None = None,
) -> Path:
    """Write `model` as a Hugging Face checkpoint; an older one at `directory` is replaced in one step.

    Tensors are stored in `dtype` while config.json says float32, so that every reader computes in fp32 on the same
    rounded weights. `training` are tensors that only going on with the training needs, `run_log` tells how it went;
    both lie in a folder of their own. Where `directory` is a link, what it points to is replaced. Raises
    CheckpointError if `directory` holds anything but a checkpoint, if a weight is not finite in `dtype`, if the disk
    refuses, or if the window is no whole number of seconds.
    """
    target = Path(directory)
    # "." and the like have no name to put a hidden directory beside, and a link stays a link
    if target.name in ("", "..") or target.is_symlink():
        target = Path(os.path.realpath(target))
    _check_window(model)
    files = {
        "config.json": _json(config_to_hf(model.config)),
        "generation_config.json": _json(_generation(generation_config, chat_format)),
        "preprocessor_config.json": _json(_preprocessor(model)),
        "tokenizer_config.json": _json(_tokenizer_config(chat_format)),
        "tokenizer.json": chat_format.tokenizer.to_json(),
    }
    template = chat_format.template
    if template not in (None, DEFAULT_TEMPLATE):  # transformers' processor reads no other file
        files[TEMPLATE_FILE] = _json({"chat_template": template})
    if about is not None:
        files["about.json"] = _json(about)
    if model_card is not None:
        files["README.md"] = model_card
    staging = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        _check_target(target)
        staging.mkdir(parents=True)
        _write_tensors(hub_state(model, dtype=dtype), staging / "model.safetensors")
        if training:
            (staging / TRAINING_FILE).parent.mkdir(exist_ok=True)
            _write_tensors(training, staging / TRAINING_FILE)
        if run_log:
            (staging / RUN_LOG_FILE).parent.mkdir(exist_ok=True)
            (staging / RUN_LOG_FILE).write_text(run_log, encoding="utf-8", newline="\n")
        for name, content in files.items():
            (staging / name).write_text(content, encoding="utf-8", newline="\n")
        for path in staging.rglob("*.*"):
            path.chmod(0o644)
            flush(path)
        swap_in(staging, target)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"{target.name} could not be saved: {error}; the earlier one is untouched"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)  # gone already if it was swapped in
    return target


def _check_target(target: Path) -> None:
    """What stands at `target` is removed, so only an empty folder or an earlier checkpoint may stand there."""
    if target.exists() and not target.is_dir():
        raise CheckpointError(
            f"{target.name} is a file; expected the name of a new folder or of an earlier checkpoint"
        )
    if target.is_dir() and any(target.iterdir()) and not _is_checkpoint(target):
        raise CheckpointError(
            f"{target.name} holds files and is no Qwen2-Audio checkpoint; choose a new folder, nothing there is touched"
        )


def _is_checkpoint(directory: Path) -> bool:
    try:
        config = json.loads((directory / "config.json").read_text("utf-8"))
        return config["model_type"] == "qwen2_audio"
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _check_window(model: Qwen2Audio) -> None:
    """Transformers' front end counts its window in whole seconds."""
    samples = model.config.encoder.max_samples
    if samples % SAMPLE_RATE:
        raise CheckpointError(
            f"the window is {samples / SAMPLE_RATE:g} s; the format holds whole seconds, so choose "
            "max_source_positions as a multiple of 50"
        )


def _write_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise OSError(str(error)) from error


def swap_in(staging: Path, target: Path) -> None:
    """Put a finished directory in the place of `target`, which may exist.

    A kill between the two renames leaves the old one under its hidden name, where `source.set_aside` finds it.
    """
    if target.exists():
        old = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.old")
        target.rename(old)
        try:
            staging.rename(target)
        except OSError:
            old.rename(target)
            raise
    else:
        staging.rename(target)
    for old in set_aside(target):
        shutil.rmtree(old, ignore_errors=True)


def flush(path: Path) -> None:
    """Wait until a file's content is on disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def _generation(values: dict[str, Any] | None, chat_format: ChatFormat) -> dict[str, Any]:
    """What was given, completed where that changes no reply: a stop token given as None stays away."""
    values = values or {}
    defaults = {
        "do_sample": False,
        "eos_token_id": list(chat_format.stop_ids) or None,
        "pad_token_id": chat_format.pad_id,
        "max_new_tokens": 128,
    }
    if values.get("max_length") is not None:
        del defaults["max_new_tokens"]  # it would win over the length
    if "eos_token_id" in values:
        del defaults["eos_token_id"]
    return defaults | {key: value for key, value in values.items() if value is not None}


def _preprocessor(model: Qwen2Audio) -> dict[str, Any]:
    encoder = model.config.encoder
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "Qwen2AudioProcessor",
        "feature_size": encoder.num_mel_bins,
        "sampling_rate": SAMPLE_RATE,
        "n_fft": N_FFT,
        "hop_length": HOP_LENGTH,
        "chunk_length": encoder.max_samples // SAMPLE_RATE,
        "n_samples": encoder.max_samples,
        "nb_max_frames": encoder.max_mel_frames,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": True,
    }


def _tokenizer_config(chat_format: ChatFormat) -> dict[str, Any]:
    """Only tokens that the tokenizer has: transformers adds any other, with an id that the model may not have."""
    tokenizer = chat_format.tokenizer
    roles = tokenizer.special_tokens_map
    named = (roles.get("eos_token"), roles.get("pad_token"))
    values: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "processor_class": "Qwen2AudioProcessor",
        "model_max_length": 8192,
        "clean_up_tokenization_spaces": False,
        **roles,
        "additional_special_tokens": [
            token for token in tokenizer.special_tokens if token not in named
        ],
    }
    if chat_format.audio_token != AUDIO_TOKEN:
        values["audio_token"] = chat_format.audio_token
    if chat_format.template is not None:
        values["chat_template"] = chat_format.template
    return values
