"""What a file is, told by its first bytes: names and extensions are not believed.

Only the containers listed here are handed to a decoder. Everything else is refused with a word on what it looks like,
because a web page saved as clip.mp3 is the commonest broken clip of all.
"""

import re
from typing import BinaryIO

from q2a_core.audio.mp3 import begins_with_frames
from q2a_core.audio.tags import after_id3

HEAD_BYTES = 65_536
"""Bytes looked at to tell what a file is."""
READABLE = "wav, flac, ogg, mp3, aiff, caf, w64, rf64, au, m4a, mp4, webm, mkv or aac"
"""Containers that can be decoded, for messages."""

_CONTAINERS = (
    (rb"RIF[FX]....WAVE", "wav"),
    (rb"RF64....WAVE", "rf64"),
    (rb"riff\x2e\x91\xcf\x11", "w64"),
    (rb"fLaC", "flac"),
    (rb"OggS", "ogg"),
    (rb"FORM....AIF[FC]", "aiff"),
    (rb"caff", "caf"),
    (rb"\.snd", "au"),
    (rb"....ftyp", "m4a/mp4"),
    (rb"\x1aE\xdf\xa3", "webm/mkv"),
    (rb"\xff[\xf0\xf1\xf8\xf9]", "aac"),
)
_OTHERS = (
    (rb"\x89PNG", "a PNG image"),
    (rb"\xff\xd8\xff", "a JPEG image"),
    (rb"GIF8", "a GIF image"),
    (rb"RIFF....WEBP", "a WebP image"),
    (rb"RIFF....AVI ", "an AVI video"),
    (rb"FLV\x01", "a Flash video"),
    (rb"\x30\x26\xb2\x75", "a Windows Media file"),
    (rb"#!AMR", "an AMR recording"),
    (rb"MThd", "a MIDI file, which holds notes and no sound"),
    (rb"%PDF", "a PDF document"),
    (rb"PK[\x03\x05]", "a zip archive (or an office document, or a torch checkpoint)"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!", "a compressed archive"),
    (rb"\x93NUMPY", "a NumPy array file"),
    (rb"\x80[\x02-\x05]", "a Python pickle"),
    (rb".{8}\{\"", "a safetensors file"),
    (rb"\x7fELF|MZ", "a program"),
    (rb"SQLite format 3", "a database"),
    (rb"version https://git-lfs", "a Git LFS pointer: `git lfs pull` brings the file itself"),
    (rb"\s*<(?i:!doctype html|html|head|body)", "a web page"),
    (rb"\s*<(\?xml|svg|\w+[ >])", "an XML document"),
    (rb"\s*[{\[]\s*[\"{\[\]}\d-]", "JSON text"),
    (rb"\x00+\Z", "nothing but zero bytes"),
)


def sniff(file: BinaryIO) -> str | None:
    """The container at the start of a seekable file, `None` if it is none that can be decoded."""
    head = _read_head(file, 0)
    if head.startswith(b"ID3"):
        # the tag of mp3 files is found in front of flac too
        return "flac" if _read_head(file, after_id3(head)).startswith(b"fLaC") else "mp3"
    for pattern, container in _CONTAINERS:
        if re.match(pattern, head, re.DOTALL):
            return container
    return "mp3" if begins_with_frames(head) else None


def looks_like(file: BinaryIO) -> str:
    """In words, what a file is that `sniff` does not know."""
    head = _read_head(file, 0)
    for pattern, words in _OTHERS:
        if re.match(pattern, head, re.DOTALL):
            return words
    if _is_text(head):
        return "plain text"
    return f"bytes of an unknown kind ({head[:8].hex(' ')} ...)"


def _read_head(file: BinaryIO, start: int) -> bytes:
    file.seek(start)
    return file.read(HEAD_BYTES)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not merely a letter cut in two at the end
            return False
        text = head[: error.start].decode("utf-8")
    return all(letter.isprintable() or letter.isspace() for letter in text)
