"""Where a clip's bytes come from: a path, bytes in memory, or an open file such as an upload.

Whatever it is, decoders get a seekable binary file that neither blocks nor raises exceptions of its own, and messages
get a name that is safe to print. Only regular files are opened: a pipe would wait for ever, a device may never end.
"""

import io
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from q2a_core.errors import AudioError

MAX_FILE_BYTES = 1 << 30
"""Largest file taken; the budget of samples is reached earlier in every container."""
_MAX_NAME = 60


def is_file_like(source: Any) -> bool:
    """Whether `source` names or holds a file, in contrast to an array of samples."""
    return isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(
        source, "read"
    )


@contextmanager
def opened(source: Any, name: str) -> Iterator[BinaryIO]:
    """`source` as a seekable binary file; closed afterwards if it was opened here."""
    try:
        if isinstance(source, (bytes, bytearray, memoryview)):
            yield io.BytesIO(bytes(source))  # a memoryview may have gaps
        elif hasattr(source, "read"):
            yield _seekable(source, name)
        else:
            with _open_path(source, name) as file:
                yield file
    except OSError as error:  # a disk or network that fails in the middle
        raise AudioError(f"{name}: reading it failed: {error.strerror}") from error


def shown_name(source: Any) -> str:
    """A name that is safe to print: the path's last part, without control characters, shortened."""
    if not is_file_like(source):
        return "the array"
    if hasattr(source, "read"):
        source = getattr(source, "name", "")
    path = os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else ""
    name = re.split(r"[\\/]", path.rstrip("\\/"))[-1]
    # control and format characters (text direction), undecodable bytes, line separators
    unsafe = ("Cc", "Cf", "Cs", "Zl", "Zp")
    name = "".join(letter for letter in name if unicodedata.category(letter) not in unsafe).strip()
    if len(name) > _MAX_NAME:
        name = f"{name[: _MAX_NAME - 20]}…{name[-19:]}"
    return name or "the audio data"


def _open_path(path: str | os.PathLike, name: str) -> BinaryIO:
    text = os.fsdecode(path)
    if not text:
        raise AudioError("the file name is empty; expected the path of an audio file")
    if re.match(r"\w+://", text):
        raise AudioError(
            f"{name}: a web address; expected a file on this machine, download it first"
        )
    try:
        text = os.path.expanduser(text)
        mode = os.stat(text).st_mode
        if stat.S_ISREG(mode):
            return open(text, "rb")
    except FileNotFoundError as error:
        raise AudioError(f"{name}: no such file; check the path") from error
    except PermissionError as error:
        raise AudioError(f"{name}: permission denied; check who may read the file") from error
    except OSError as error:
        raise AudioError(f"{name}: cannot be opened: {error.strerror}") from error
    except ValueError as error:  # a zero byte in the name
        raise AudioError(f"{name}: not a file name that the system accepts") from error
    if stat.S_ISDIR(mode):
        raise AudioError(f"{name}: a directory; expected one audio file, name a file in it")
    raise AudioError(f"{name}: a pipe or device; expected a regular file")


def _seekable(file: Any, name: str) -> BinaryIO:
    """The file itself where reading it is safe, else its bytes in memory."""
    try:
        if isinstance(file, (io.BytesIO, io.BufferedReader)) and file.seekable():
            return file  # type: ignore[return-value]
        if hasattr(file, "seek") and (not hasattr(file, "seekable") or file.seekable()):
            file.seek(0)
        data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is closed or broken"
        raise AudioError(f"{name}: the open file cannot be read: {reason}") from error
    if not isinstance(data, bytes):
        kind = type(data).__name__
        raise AudioError(f"{name}: reading it gave {kind}; expected a file opened in binary mode")
    return io.BytesIO(data)
