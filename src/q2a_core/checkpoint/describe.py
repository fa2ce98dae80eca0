"""What a checkpoint is made of: parts, shapes, parameter counts, rates. Reads no weights."""

from pathlib import Path
from typing import Any

import torch

from q2a_core import lengths
from q2a_core.checkpoint.directory import open_checkpoint
from q2a_core.checkpoint.weight_files import weight_files
from q2a_core.model import Qwen2Audio


def describe(source: str | Path) -> dict[str, Any]:
    """A JSON-ready description of a shipped name, a directory or a hub id. Raises CheckpointError."""
    checkpoint = open_checkpoint(source)
    with torch.device("meta"):
        model = Qwen2Audio(checkpoint.config)
    encoder, decoder = checkpoint.config.encoder, checkpoint.config.decoder
    parts = {
        "audio_encoder": f"{encoder.num_layers} blocks, {encoder.d_model} wide, {encoder.num_heads} heads of "
        f"{encoder.head_dim}, feed-forward {encoder.d_ff}",
        "projector": f"{encoder.d_model} to {decoder.d_model}",
        "decoder": f"{decoder.num_layers} blocks, {decoder.d_model} wide, {decoder.num_heads} heads of "
        f"{decoder.head_dim} over {decoder.num_kv_heads} key-value heads, feed-forward {decoder.d_ff}, "
        f"vocabulary {decoder.vocab_size}",
    }
    files = weight_files(checkpoint.directory)
    kv_bytes = decoder.kv_bytes(1, itemsize=checkpoint.dtype.itemsize)
    return {
        "name": checkpoint.name,
        "hash": checkpoint.hash,
        "stage": checkpoint.about.get("stage"),
        "trained_on": checkpoint.about.get("trained_on"),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "parts": [
            {
                "name": name,
                "shape": shape,
                "parameters": sum(p.numel() for p in getattr(model, name).parameters()),
            }
            for name, shape in parts.items()
        ],
        "files": [
            {"name": path.name, "megabytes": round(path.stat().st_size / 2**20, 1)}
            for path in files
        ],
        "computed_in": str(checkpoint.dtype).removeprefix("torch."),
        "window_seconds": encoder.max_seconds,
        "rates": {
            "samples": lengths.SAMPLE_RATE,
            "mel_frames": lengths.MEL_FRAME_RATE,
            "encoder_frames": lengths.ENCODER_FRAME_RATE,
            "audio_tokens": lengths.AUDIO_TOKEN_RATE,
        },
        "tokenizer_entries": len(checkpoint.chat_format.tokenizer),
        "kv_bytes_per_position": kv_bytes,
        "generation": {
            key: value for key, value in checkpoint.generation_config.items() if value is not None
        },
    }


def format_description(record: dict[str, Any]) -> str:
    """The description as a person reads it."""
    lines = [f"{record['name']}  ({record['hash']})"]
    if record["stage"]:
        lines.append(f"stage {record['stage']}; trained on {record['trained_on']}")
    lines.append(f"{record['parameters']:,} parameters, computed in {record['computed_in']}")
    lines += [
        f"  {part['name']:<15}{part['parameters']:>15,}  {part['shape']}"
        for part in record["parts"]
    ]
    rates = ", ".join(
        f"{name.replace('_', ' ')} {rate:,}/s" for name, rate in record["rates"].items()
    )
    lines.append(f"rates: {rates}; window {record['window_seconds']:g} s")
    lines.append(f"tokenizer: {record['tokenizer_entries']:,} entries")
    lines.append(f"KV cache: {record['kv_bytes_per_position']:,} bytes a position")
    files = [f"{file['name']} {file['megabytes']} MB" for file in record["files"]]
    lines.append(f"files: {', '.join(files)}")
    lines.append(f"generation: {record['generation']}")
    return "\n".join(lines)
