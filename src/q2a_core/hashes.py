"""What clips, prompts, files and checkpoints are known by: the first hex digits of SHA-256. Imports no torch."""

import hashlib
from pathlib import Path

WHOLE_FILE = 256 * 2**20
"""Weight files up to this size are hashed whole; larger ones by size, head and tail."""


def content_hash(data: bytes, digits: int = 12) -> str:
    """The first hex digits of SHA-256: what clips, prompts and files are known by."""
    return hashlib.sha256(data).hexdigest()[:digits]


def checkpoint_hash(directory: Path) -> str:
    """Twelve hex digits that name the weights and the config; what every shown number is keyed by."""
    digest = hashlib.sha256((directory / "config.json").read_bytes())
    for path in sorted(directory.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}".encode())
        with path.open("rb") as file:
            if size <= WHOLE_FILE:
                digest.update(file.read())
            else:
                digest.update(file.read(2**20))
                file.seek(-(2**20), 2)
                digest.update(file.read())
    return digest.hexdigest()[:12]
