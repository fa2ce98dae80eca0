"""What mp3 needs before and while libsndfile decodes it.

An mp3 is a bare row of frames. Without a Xing tag that counts them, libmpg123 guesses the length from the first
frame's bit rate and stops there: a variable-rate piece of a longer file can lose more than half of its sound without
a word. So the frames are counted here and handed on with a true count, and without what lies between them.
"""

import os
import re
import struct
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache

from q2a_core.audio.tags import after_tags

_MPEG_1_RATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG_2_RATES = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLE_RATES = (44_100, 48_000, 32_000)
_SYNC = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")  # layer III of MPEG 2.5, 2 and 1
_MAX_GAP = 1 << 20
"""Bytes searched for the next frame; more foreign bytes than this end the stream."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mp3Stream:
    """The whole frames of an mp3."""

    data: bytes
    """A frame with the true count, then the frames."""
    has_gaps: bool
    """Whether foreign bytes lay between frames."""
    is_cut: bool
    """Whether the data end inside a frame."""
    unread_bytes: int
    """Foreign bytes behind the last frame, without tags and zeros."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Header:
    length: int
    tag_offset: int
    """Where a Xing tag lies in the first frame."""
    family: tuple[int, int, bool]
    """What stays the same in one stream: MPEG version, sample rate, mono or not."""


def begins_with_frames(head: bytes) -> bool:
    """Whether three frames follow each other near the start; an mp3 cut out of a longer one begins inside a frame."""
    start = _next_frame(head, 0, None, stop=4096)
    for _ in range(3):
        header = _header(head[start : start + 4]) if start >= 0 else None
        if header is None:
            return False
        start += header.length
        if start == len(head):
            return True
    return True


def read_frames(data: bytes) -> Mp3Stream | None:
    """The whole frames in `data`, with a count that libmpg123 believes; `None` if there are none."""
    start = after_tags(data, 0)
    position = _next_frame(data, start if start < len(data) else 10, None)
    first = _header(data[position : position + 4]) if position >= 0 else None
    if first is None:
        return None
    pieces, end, has_gaps, is_cut = [], position, False, False
    while position >= 0:
        header = _header(data[position : position + 4])
        belongs = header is not None and header.family == first.family
        if header and belongs and position + header.length <= len(data):
            has_gaps |= position > end
            position += header.length
            pieces.append(data[position - header.length : position])
            end = position
        elif (after := after_tags(data, position)) > position == end:
            # files put end to end carry their tags with them
            position = end = after
        else:
            is_cut = belongs and position == end
            position = _next_frame(data, position + 1, first.family)
    if not pieces:
        return None
    tag = _counting_frame(pieces, first)
    return Mp3Stream(
        data=tag + b"".join(pieces),
        has_gaps=has_gaps,
        is_cut=is_cut,
        unread_bytes=len(data[end:].strip(b"\0")),
    )


def _counting_frame(pieces: list[bytes], first: _Header) -> bytes:
    """Take the tag off the front of `pieces`, or make one; its count is at least the number of frames that follow."""
    at = first.tag_offset
    tag, flags, count = struct.unpack(">4sII", pieces[0][at : at + 12].ljust(12, b"\0"))
    if tag in (b"Xing", b"Info"):
        frame = pieces.pop(0)
        # a larger count is kept, it says how much of a cut file is missing; so is the encoder delay behind it
        if flags & 1:
            return frame[: at + 8] + struct.pack(">I", max(count, len(pieces))) + frame[at + 12 :]
    elif pieces[0][36:40] == b"VBRI":
        pieces.pop(0)
    model = pieces[0] if pieces else b"\xff\xfb\x90\x00"
    # no checksum, no padding, highest bit rate: long enough for the tag at every sample rate
    head = bytes((0xFF, model[1] | 1, 0xE0 | model[2] & 0x0C, model[3]))
    made = _header(head)
    assert made is not None
    body = bytes(at - 4) + struct.pack(">4sII", b"Xing", 1, len(pieces))
    return head + body.ljust(made.length - 4, b"\0")


@lru_cache(maxsize=4096)
def _header(head: bytes) -> _Header | None:
    if len(head) < 4 or not _SYNC.match(head):
        return None
    version, rate_index, bit_rate = head[1] >> 3 & 3, head[2] >> 2 & 3, head[2] >> 4
    if rate_index == 3 or not 1 <= bit_rate <= 14:
        return None
    is_mpeg_1, is_mono = version == 3, head[3] >> 6 == 3
    sample_rate = _SAMPLE_RATES[rate_index] // {3: 1, 2: 2, 0: 4}[version]
    kilobits = (_MPEG_1_RATES if is_mpeg_1 else _MPEG_2_RATES)[bit_rate - 1]
    side_info = (17 if is_mono else 32) if is_mpeg_1 else (9 if is_mono else 17)
    return _Header(
        length=(144 if is_mpeg_1 else 72) * kilobits * 1000 // sample_rate + (head[2] >> 1 & 1),
        tag_offset=4 + side_info,
        family=(version, rate_index, is_mono),
    )


def _next_frame(
    data: bytes, start: int, family: tuple[int, int, bool] | None, *, stop: int = _MAX_GAP
) -> int:
    """Where the next frame starts whose successor is one of its family too (or the end), -1 if none is near."""
    for match in _SYNC.finditer(data, start, min(len(data), start + stop)):
        header = _header(data[match.start() : match.start() + 4])
        if header is None or (family is not None and header.family != family):
            continue
        end = match.start() + header.length
        follower = _header(data[end : end + 4])
        if end == len(data) or (follower is not None and follower.family == header.family):
            return match.start()
    return -1


_STDERR_LOCK = threading.Lock()
_COMPLAINT = re.compile(rb"libmpg123|^(Note|Warning): ")


@contextmanager
def quiet_libmpg123() -> Iterator[list[str]]:
    """Keep libmpg123's complaints off the terminal; the list holds them once the block is left.

    The library prints to file descriptor 2, which the whole process shares, and libsndfile has no switch for it. So
    for the milliseconds of an mp3's decoding the descriptor leads to a temporary file; then whatever is not
    libmpg123's is passed on: other threads' lines come late but are not lost. (A child process that is started in
    those milliseconds keeps the temporary file as its stderr.)
    """
    complaints: list[str] = []
    with _STDERR_LOCK, ExitStack() as stack:
        kept = terminal = None
        with suppress(OSError):  # no temporary folder, or no stderr to keep clean
            kept = stack.enter_context(tempfile.TemporaryFile())
            terminal = os.dup(2)
        if kept is None or terminal is None:
            yield complaints
            return
        try:
            os.dup2(kept.fileno(), 2)
            yield complaints
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            kept.seek(0)
            for line in kept:
                if _COMPLAINT.search(line):
                    complaints.append(line.decode("utf-8", "replace").strip())
                else:
                    os.write(2, line)
