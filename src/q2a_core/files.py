"""Files read and written: whole or not at all, and what of a checkpoint cannot be read is one sentence."""

import contextlib
import errno
import json
import os
import stat
import uuid
from pathlib import Path
from typing import Any

from q2a_core.errors import CheckpointError, Q2AError

_NO_FILE_BESIDE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV)
"""How the system says that a file may be written, but none put in its place: its folder is closed, it is a mount."""
LFS_POINTER = b"version https://git-lfs"
"""How the text begins that a clone without git-lfs has in the place of a large file."""


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that a full disk or a kill leaves the old one or the new one. Raises OSError.

    Text becomes UTF-8 with its line ends as they are; a file that is there keeps its mode. A link is followed. What is
    no plain file, such as a pipe or /dev/stdout, is written into, and so is a file that no other may take the place of.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    target = Path(os.path.realpath(path))
    is_there = path.exists()
    if is_there and not (path.is_file() and _is_named(path, target)):
        path.write_bytes(data)
        return
    # a name of its own length: the target's may be as long as the file system lets one be
    staging = target.with_name(f".{uuid.uuid4().hex[:12]}.tmp")
    try:
        with staging.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if is_there:
            staging.chmod(stat.S_IMODE(target.stat().st_mode))
        staging.replace(target)
    except OSError as error:
        if not is_there or error.errno not in _NO_FILE_BESIDE:
            raise
        path.write_bytes(data)
    finally:
        staging.unlink(missing_ok=True)


def _is_named(path: Path, target: Path) -> bool:
    """Whether a file stands under this name: /dev/stdout may lead to one that others hold open, or that is deleted."""
    if str(path.absolute()).startswith(("/dev/", "/proc/")):
        return False
    return target.exists() and path.samefile(target)


def check_writable(path: Path) -> None:
    """Raises Q2AError unless a file can be written there."""
    folder = Path(os.path.realpath(path)).parent
    if path.is_dir():
        raise Q2AError(f"{path} is a folder; expected the name of a file to write")
    if not folder.is_dir():
        raise Q2AError(f"there is no folder {path.parent} to write {path.name} into; make it first")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise Q2AError(f"{path} may not be written; choose another place")


def json_or_none(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is no file, half of one, or something else."""
    try:
        values = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def is_there(path: Path) -> bool:
    """Whether a checkpoint has this file.

    Raises CheckpointError where only its name is: what a hub's cache, a copy or a clone leave when the file is lost.
    """
    if path.is_file():
        with contextlib.suppress(OSError), path.open("rb") as file:  # its reader says why it cannot
            if file.read(len(LFS_POINTER)) == LFS_POINTER:
                raise CheckpointError(
                    f"{path.name} is a pointer of Git LFS, not the file itself; run git lfs pull in {path.parent}"
                )
        return True
    if path.is_symlink() and not path.exists():
        raise CheckpointError(
            f"{path.name} is a link to a file that is not there ({os.readlink(path)}); copy or download the whole "
            "checkpoint"
        )
    if path.exists():
        raise CheckpointError(f"{path.name} is a folder or a device; expected a file")
    return False


def read_json(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """A JSON object from a checkpoint file; {} if optional and absent. Raises CheckpointError."""
    if optional and not is_there(path):
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
    if not is_there(path):
        raise CheckpointError(
            f"{path.parent.name or path.parent} has no {path.name}; expected a checkpoint directory"
        )
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path.name} cannot be read as text: {error}") from error
