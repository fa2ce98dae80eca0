"""Files in which streams follow one another: chained Ogg, as radio recordings are, and FLAC files put end to end.

libsndfile decodes the first stream of such a file and says nothing of the others. So the places where streams begin
are found here, by their marks and without decoding, and each stream is handed on as a file of its own.
"""

import io
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

MARKS = {
    # a page that begins a stream
    "ogg": re.compile(rb"OggS\x00[\x02\x06]"),
    # the magic bytes and the head of STREAMINFO
    "flac": re.compile(rb"fLaC[\x00\x80]\x00\x00\x22"),
}
"""What a stream begins with, by container as `sniff` names it."""
MAX_LINKS = 1_000
"""Most streams in a file; an hour of radio has a few dozen."""

_BLOCK = 1 << 20
_LONGEST_MARK = 8
_MAX_OGG_PAGE = 65_307
_FIRST_PAGES = 64
"""Pages that are looked through for damage; a cover picture of 3 MB may come before the sound."""
_FARTHEST = 1 << 62
"""Places from here on do not fit into the 64 bits that libsndfile is told them in."""
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class FilePart:
    """Some bytes of a file, as libsndfile calls them back.

    A damaged header seeks to nowhere, and an exception would be printed: here it stays where it is or reads nothing.
    """

    def __init__(self, file: BinaryIO, start: int = 0, end: int | None = None):
        self._file = file
        self._start = start
        self._end = file.seek(0, io.SEEK_END) if end is None else end
        self._position = 0

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> None:
        origin = (0, self._position, self._end - self._start)[whence]
        if 0 <= origin + offset < _FARTHEST:
            self._position = origin + offset

    def read(self, size: int) -> bytes:
        begin = min(self._start + self._position, self._end)
        try:
            self._file.seek(begin)
            data = self._file.read(min(size, self._end - begin))
        except (ValueError, OSError):
            return b""
        self._position += len(data)
        return data


def find_links(file: BinaryIO, container: str) -> list[FilePart]:
    """The streams of a file of a container in `MARKS`, in order; one more than `MAX_LINKS` stands for any number."""
    starts, head_end = [0], None
    for mark in islice(_find(file, MARKS[container]), MAX_LINKS + 1):
        # heads without a gap between them are tracks of one stream, sound and pictures
        if head_end not in (None, mark):
            starts.append(mark)
        head_end = _page_end(file, mark) if container == "ogg" else mark + _LONGEST_MARK
    ends = [*starts[1:], file.seek(0, io.SEEK_END)]
    return [FilePart(file, start, end) for start, end in zip(starts, ends, strict=True)]


def is_intact(ogg: FilePart) -> bool:
    """Whether the first pages and the last are undamaged, and the last one is marked as such.

    No Ogg header tells the length. libsndfile measures from the first sound page that it can read to the last, so it
    misses no page but one of these.
    """
    ogg.seek(0, io.SEEK_END)
    size = ogg.tell()
    start = max(0, size - _MAX_OGG_PAGE)
    last = start + max(0, _read_at(ogg, start).rfind(b"OggS"))
    page = _page_at(ogg, last)
    if page is None or not page[5] & 4:
        return False
    position = 0
    for _ in range(_FIRST_PAGES):
        if position >= last:
            break
        page = _page_at(ogg, position)
        if page is None:
            return False
        position += len(page)
    return True


def _page_at(ogg: FilePart, position: int) -> bytes | None:
    """The Ogg page there, `None` if it is damaged, cut or none."""
    data = _read_at(ogg, position).ljust(28, b"\0")
    page = data[: 27 + data[26] + sum(data[27 : 27 + data[26]])]
    # the CRC is that of zlib with every byte mirrored, and nothing inverted before or after
    blank = page[:22] + bytes(4) + page[26:]
    mirrored = zlib.crc32(blank.translate(_MIRRORED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    checksum = int(f"{mirrored:032b}"[::-1], 2)
    is_page = page.startswith(b"OggS") and checksum == int.from_bytes(page[22:26], "little")
    return page if is_page else None


def _read_at(ogg: FilePart, position: int) -> bytes:
    ogg.seek(position)
    return ogg.read(_MAX_OGG_PAGE)


def _find(file: BinaryIO, mark: re.Pattern[bytes]) -> Iterator[int]:
    """Where the mark lies, found in blocks that overlap by less than its length."""
    start, kept = 0, b""
    while True:
        file.seek(start + len(kept))
        block = file.read(_BLOCK)
        if not block:
            return
        data = kept + block
        end = 0
        for match in mark.finditer(data):
            yield start + match.start()
            end = match.end()
        # a mark that ends in the next block begins here, and none is found twice
        kept = data[max(end, len(data) - _LONGEST_MARK + 1) :]
        start += len(data) - len(kept)


def _page_end(file: BinaryIO, page: int) -> int:
    file.seek(page)
    head = file.read(27 + 255).ljust(27, b"\0")
    return page + 27 + head[26] + sum(head[27 : 27 + head[26]])
