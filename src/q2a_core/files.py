"""Reading the text and JSON files of a checkpoint: what cannot be read is one sentence."""

import json
from pathlib import Path
from typing import Any

from q2a_core.errors import CheckpointError


def read_json(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """A JSON object from a checkpoint file; {} if optional and absent. Raises CheckpointError."""
    if optional and not path.is_file():
        return {}
    content = read_text(path)
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name} cannot be read as JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(
            f"{path.name} holds a {type(values).__name__}; expected a JSON object"
        )
    return values


def read_text(path: Path) -> str:
    """A checkpoint file's text. Raises CheckpointError."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path.parent.name or path.parent} has no {path.name}; expected a checkpoint directory"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path.name} cannot be read as text: {error}") from error
