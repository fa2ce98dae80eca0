"""What the chunks of a wav tell that libsndfile keeps to itself."""

import io
import re
import struct
from typing import BinaryIO

_HEAD_BYTES = 65_536
_MAX_CHUNKS = 1_000
_CHUNK_NAME = re.compile(rb"[ -~]{4}")


def holds_mp3(file: BinaryIO) -> bool:
    """Whether the sound in a wav is mp3."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    fmt = head.find(b"fmt ")
    return head[fmt + 8 : fmt + 10] == b"\x55\x00"


def bytes_no_chunk_holds(file: BinaryIO) -> int:
    """How many bytes follow the chunks of a wav, 0 where they are all zero.

    A wav whose header was written before its sound, by a recorder that crashed or was copied from while it ran,
    counts less than there is. What looks like a chunk is one, even if it is cut off: tags behind the sound are
    ordinary. A size beyond the file's end holds everything.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(4) != b"RIFF":  # RIFX counts the other way round
        return 0
    position = 12
    for _ in range(_MAX_CHUNKS):
        # chunks begin at even places, but not every program knows
        for start in (position + position % 2, position):
            file.seek(start)
            head = file.read(8)
            if len(head) < 8:
                return 0
            if _CHUNK_NAME.match(head):
                position = start + 8 + struct.unpack("<I", head[4:])[0]
                break
        else:
            file.seek(position)
            return size - position if file.read(_HEAD_BYTES).strip(b"\0") else 0
    return 0
