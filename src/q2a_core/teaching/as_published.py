"""A small checkpoint laid out like the published 7B, to try on it what one will type for the real one."""

import json
import shutil
from pathlib import Path

from q2a_core.checkpoint import open_checkpoint
from q2a_core.checkpoint.weight_files import stored_tensors, weight_files
from q2a_core.errors import Q2AError

FILES = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "chat_template.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
"""What lies beside the weights on the hub; our own notes on training do not."""


def lay_out_as_published(source: str | Path, target: str | Path, *, shards: int = 3) -> Path:
    """Write a checkpoint's files into the new folder `target`, its weights in numbered shards with an index.

    Raises Q2AError if the folder is there and holds something.
    """
    from safetensors.torch import save_file

    directory, target = open_checkpoint(source).directory, Path(target)
    if target.exists() and any(target.iterdir()):
        raise Q2AError(f"{target} is not empty; name a new folder")
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (directory / name).is_file():
            shutil.copyfile(directory / name, target / name)
    tensors = dict(stored_tensors(weight_files(directory), device="cpu"))
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    weight_map: dict[str, str] = {}
    parts: list[dict] = [{} for _ in range(shards)]
    seen = 0
    for key, tensor in tensors.items():
        number = min(seen * shards // size, shards - 1)
        parts[number][key] = tensor
        weight_map[key] = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        seen += tensor.numel() * tensor.element_size()
    for number, part in enumerate(parts, start=1):
        path = target / f"model-{number:05d}-of-{shards:05d}.safetensors"
        save_file(part, path, metadata={"format": "pt"})
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    (target / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), "utf-8")
    return target
