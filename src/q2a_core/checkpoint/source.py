"""From what a user names to a local directory: a shipped name, a path, or a hub id."""

import glob
import os
import re
from pathlib import Path

from q2a_core import paths
from q2a_core.errors import CheckpointError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "merges.txt"]
"""What is downloaded: never pickled weights."""


def resolve_source(source: str | Path) -> Path:
    """The directory of a shipped name, a local path or a hub id, downloading the last if needed.

    Raises CheckpointError for anything else, with the names that ship.
    """
    if isinstance(source, str) and source in paths.shipped_checkpoints():
        return paths.shipped_checkpoint(source)
    try:
        path = Path(source).expanduser()
        if source != "" and path.is_dir():  # "" would be the working directory
            return path
        if path.is_file():
            raise CheckpointError(
                f"{path.name} is a file; expected a checkpoint directory with config.json beside it"
            )
        for old in set_aside(path):
            if (old / "config.json").is_file():
                return old
        if isinstance(source, str) and HUB_ID.fullmatch(source):
            return _download(source)
    except (OSError, RuntimeError):  # a name too long for a file, or a home directory of nobody
        pass
    names = ", ".join(paths.shipped_checkpoints()) or "none"
    raise CheckpointError(
        f"no checkpoint {str(source)[:80]!r}: it is no shipped name ({names}), no directory, and no hub id "
        "such as Qwen/Qwen2-Audio-7B-Instruct"
    )


def set_aside(path: Path) -> list[Path]:
    """Whole old directories that saves, killed between taking `path` away and putting the new one there, left
    behind; those of its target if `path` is a link."""
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    return sorted(path.parent.glob(f".{glob.escape(path.name)}.????????.old"))


def _download(repo_id: str) -> Path:
    """Fetch a hub repository into the hub's cache, with progress bars; an interrupted download goes on."""
    import huggingface_hub
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    try:
        return Path(huggingface_hub.snapshot_download(repo_id, allow_patterns=HUB_FILES))
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"{repo_id} is not in the hub's cache on this machine and no directory, and the hub cannot be reached; "
            "connect, or copy the checkpoint's directory here and give its path"
        ) from error
    except HfHubHTTPError as error:
        raise CheckpointError(
            f"{repo_id} is no directory, and the hub refused it: {str(error).splitlines()[0]}; "
            "check the name and your access"
        ) from error
    except (OSError, HFValidationError) as error:
        raise CheckpointError(f"{repo_id} could not be downloaded: {error}") from error
