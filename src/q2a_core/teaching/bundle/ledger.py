"""What a bundle wrote, so that it overwrites nothing else: `bundle.json`, kept in step with the folder.

A file's hash is noted before the file is written, and a file appears whole or not at all. So after a kill every file of
the bundle is either the one that the ledger names or an unfinished `.part`, and everything else is somebody else's.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from q2a_core.errors import Q2AError
from q2a_core.files import write_whole

FILE = "bundle.json"
MADE_BY = "q2a bundle"
PART = ".part"


class Ledger:
    """The files of one bundle and what is known of it."""

    def __init__(self, target: Path, values: dict[str, Any]):
        self.target = target
        self.values = values

    @classmethod
    def open(cls, target: Path) -> "Ledger":
        """Begin a bundle in a new or empty folder, or go on with one. Raises Q2AError for any other folder."""
        with named(target):
            if target.exists() and not target.is_dir():
                raise Q2AError(f"{target} is a file; expected the name of a folder")
            path = target / FILE
            if path.is_file():
                return cls(target, _read(path))
            if target.is_dir() and any(target.iterdir()):
                raise Q2AError(
                    f"{target} holds files and is no bundle; choose a new folder, nothing there is touched"
                )
            target.mkdir(parents=True, exist_ok=True)
            values = {"made_by": MADE_BY, "complete": False, "files": {}}
            ledger = cls(target, values)
            ledger.save()
            return ledger

    @property
    def files(self) -> dict[str, str]:
        """Path in the bundle, with slashes, to SHA-256."""
        return self.values["files"]

    @property
    def earlier(self) -> dict[str, str]:
        """The hashes before, of files that are being replaced."""
        return self.values.setdefault("earlier", {})

    def save(self) -> None:
        """Write the ledger, whole or not at all."""
        with named(self.target):
            write_whole(self.target / FILE, json.dumps(self.values, indent=1) + "\n")

    def plan(self, digests: dict[str, str]) -> None:
        """Note the hashes of files that are about to be written. Raises Q2AError if somebody else's is in the way."""
        for name, digest in digests.items():
            path = self.target / name
            if not path.exists():
                continue
            found = sha256(path) if path.is_file() else ""
            if found not in (digest, self.files.get(name), self.earlier.get(name)):
                raise Q2AError(
                    f"{path} is not what the bundle wrote; move it away, or choose another folder"
                )
        for name, digest in digests.items():
            if self.files.get(name, digest) != digest:
                self.earlier[name] = self.files[name]
        self.values["complete"] = False
        self.files.update(digests)
        self.save()

    def put(self, name: str, source: Path | bytes) -> None:
        """Write one planned file, unless it is there already."""
        path = self.target / name
        with named(self.target):
            if path.is_file() and sha256(path) == self.files[name]:
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(path.name + PART)
            if isinstance(source, bytes):
                part.write_bytes(source)
            else:
                shutil.copyfile(source, part)
                shutil.copymode(source, part)
            os.replace(part, path)

    def finish(self, names: set[str]) -> None:
        """The bundle is whole and consists of these; what an earlier run wrote besides goes, unless it was changed."""
        for name in set(self.files) - names:
            path = self.target / name
            with named(self.target):
                if path.is_file() and sha256(path) == self.files[name]:
                    path.unlink()
            del self.files[name]
        self.values |= {"complete": True, "earlier": {}}
        self.save()


def _read(path: Path) -> dict[str, Any]:
    """A ledger that can be trusted with this folder. Raises Q2AError."""
    values: dict[str, Any] = {}
    try:
        values = json.loads(path.read_text("utf-8"))
        trusted = values["made_by"] == MADE_BY and all(map(is_inside, values["files"].keys()))
    except (ValueError, KeyError, TypeError, AttributeError):
        trusted = False
    if not trusted:
        raise Q2AError(f"{path} is damaged; choose another folder")
    return values


def is_inside(name: str) -> bool:
    """Whether a path of the ledger stays in the bundle."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def sha256(source: Path | bytes) -> str:
    """Hexadecimal digest of a file or of bytes."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def named(target: Path) -> Iterator[None]:
    """Turn what the disk refuses into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise Q2AError(full_disk(target)) from error
        reason = error.strerror or type(error).__name__
        raise Q2AError(
            f"{error.filename or target} cannot be written ({reason}); choose another folder"
        ) from error


def full_disk(target: Path) -> str:
    """The sentence for a disk that has no room left."""
    return f"the disk of {target} is full; free some room and run the same command again: it goes on where it was"
