"""The files that hold a checkpoint's weights: which they are, what they are stored in, and their tensors one by one."""

import json
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from q2a_core.errors import CheckpointError
from q2a_core.files import is_there

OTHER_WEIGHTS = (".safetensors", ".gguf")
"""Endings of files that may be weights, but not under the names that are looked for."""
PICKLED_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt")
"""Endings of files that are never opened."""
STORED = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""Safetensors' names of precisions, and ours."""


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a checkpoint: one, or the shards that its index names. Raises CheckpointError."""
    single = directory / "model.safetensors"
    if is_there(single):
        return [single]
    index = directory / "model.safetensors.index.json"
    if is_there(index):
        return _shards(index)
    files = sorted(path for path in directory.iterdir() if path.is_file())
    others = [path.name for path in files if path.suffix in OTHER_WEIGHTS]
    if others:
        raise CheckpointError(
            f"{directory.name} has no weights under a name that counts; found {', '.join(others[:3])}"
            f"{', ...' if len(others) > 3 else ''}, expected model.safetensors, or model.safetensors.index.json "
            "beside its shards; rename the file, or save the model again"
        )
    if any(path.suffix in PICKLED_WEIGHTS for path in files):
        raise CheckpointError(
            f"{directory.name} has pickled weights only; pickles can run code, so they are never opened. "
            "Convert them to safetensors where you trust them"
        )
    raise CheckpointError(
        f"{directory.name} has no weights; expected model.safetensors or its index with shards"
    )


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{index.name} cannot be read as a shard index: {error}") from error
    for name in names:
        if (
            not isinstance(name, str)
            or Path(name).name != name
            or not name.endswith(".safetensors")
        ):
            raise CheckpointError(
                f"{index.name} names the shard {name!r}; expected a safetensors file beside it"
            )
        if not is_there(index.parent / name):
            raise CheckpointError(f"shard {name} is missing; copy or download the whole checkpoint")
    return [index.parent / name for name in names]


def stored_tensors(files: list[Path], *, device: str) -> Iterator[tuple[str, Tensor]]:
    """Every stored tensor, one in memory at a time, on `device`; raises CheckpointError at a damaged file."""
    from safetensors import SafetensorError, safe_open

    for path in files:
        try:
            with safe_open(path, framework="pt", device=device) as file:
                for key in file.keys():  # noqa: SIM118 - safe_open is no mapping
                    yield key, file.get_tensor(key)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{path.name} is damaged or no safetensors file: {error}"
            ) from error


def stored_dtype(directory: Path) -> str:
    """The name of the one precision that all floating-point tensors are stored in; "float32" if there is none.

    Reads headers only, and leaves it to `stored_tensors` to complain of what cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    found: set[str] = set()
    try:
        for path in weight_files(directory):
            with safe_open(path, framework="pt") as file:
                found |= {file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118
    except (CheckpointError, SafetensorError, OSError):
        return "float32"
    floats = [name for name in found if "F" in name]
    return STORED.get(floats[0], "float32") if len(floats) == 1 else "float32"
