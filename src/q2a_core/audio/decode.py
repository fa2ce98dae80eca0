"""An open audio file to blocks of float32 through libsndfile; `media` has the containers that need PyAV.

The decoder is given a file and never a name, so extensions play no part. A file that breaks off gives what was
decoded up to there, and a notice; one that gives nothing is refused.
"""

import io
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from q2a_core.audio.intake import BLOCK_VALUES, Intake
from q2a_core.audio.links import MARKS, MAX_LINKS, FilePart, find_links, is_intact
from q2a_core.audio.media import DEMUXERS, decode_media
from q2a_core.audio.mp3 import quiet_libmpg123, read_frames
from q2a_core.audio.sniff import READABLE, looks_like, sniff
from q2a_core.audio.source import MAX_FILE_BYTES
from q2a_core.audio.wav import bytes_no_chunk_holds, holds_mp3
from q2a_core.errors import AudioError

_MAX_MP3_BYTES = 1 << 28
"""Largest mp3 read into memory; an hour at 320 kbit/s is 144 MB."""
_MAX_FOREIGN_BYTES = 4_096
"""Bytes behind the sound that are passed over without a word: leftovers of tags and of cutting."""
_UNKNOWN_FRAMES = 1 << 60
_SIZE_MISMATCH = re.compile(r"^\s*(?:data|SSND|riff|Data Size)\s*: (\d+) \(should be (\d+)\)", re.M)
_DS64_MISMATCH = re.compile(r"does not match value from 'ds64' chunk of (\d+)")


def decode(file: BinaryIO, intake: Intake) -> None:
    """Feed a seekable binary file to `intake`; raises AudioError if it is no readable audio."""
    size = file.seek(0, io.SEEK_END)
    if size == 0:
        raise intake.error("the file is empty (0 bytes); expected an audio file")
    if size > MAX_FILE_BYTES:
        raise intake.error(
            f"a file of {size / 1e9:.1f} GB; at most {MAX_FILE_BYTES / 1e9:.1f} GB are opened. "
            "Cut it shorter"
        )
    container = sniff(file)
    if container is None:
        raise intake.error(
            f"no audio file that can be read: it looks like {looks_like(file)}; expected {READABLE}"
        )
    file.seek(0)
    if container in DEMUXERS:
        decode_media(file, container, intake)
    elif container in MARKS:
        _decode_links(file, container, intake)
    elif container == "mp3":
        _decode_mp3(file, intake)
    else:
        _decode_soundfile(file, container, intake)


def _decode_mp3(file: BinaryIO, intake: Intake) -> None:
    stream = read_frames(file.read(_MAX_MP3_BYTES))
    if stream is None:
        raise intake.damaged("mp3", "no whole frame in it")
    with quiet_libmpg123() as complaints, _opened_mp3(stream.data, intake) as sound:
        _read(sound, "mp3", intake)
    if stream.has_gaps or any("error" in complaint for complaint in complaints):
        intake.notices.append("the mp3 file is damaged in places; it may click or skip there")
    elif stream.is_cut and intake.frames == intake.promised_frames:
        intake.notices.append("the file is truncated: it ends inside an mp3 frame")
    if stream.unread_bytes > _MAX_FOREIGN_BYTES:
        kilobytes = (
            f"{stream.unread_bytes / 1000:,.0f} kB of another sample rate or mode, or no mp3"
        )
        intake.notices.append(_left_out(intake, kilobytes))


@contextmanager
def _opened_mp3(data: bytes, intake: Intake) -> Iterator[Any]:
    with ExitStack() as stack:
        try:
            sound = _open(FilePart(io.BytesIO(data)), "mp3", intake)
        except AudioError as error:
            # a file ._ or a folder .AppleDouble where the program runs is for libsndfile the Macintosh half of
            # every file without a name, so it takes no mp3 for one; of a named file it believes the extension
            try:
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                path = Path(folder) / "clip.mp3"
                path.write_bytes(data)
            except OSError:
                raise error from None
            sound = _open(str(path), "mp3", intake)
        yield stack.enter_context(sound)


def _decode_links(file: BinaryIO, container: str, intake: Intake) -> None:
    """One stream after another, as long as they have the first one's rate and channels."""
    links = find_links(file, container)
    if len(links) > MAX_LINKS:
        raise intake.error(
            f"more than {MAX_LINKS:,} streams in one file; expected a file of one stream"
        )
    for link in links:
        try:
            sound = _open(link, container, intake)
        except AudioError:
            if not intake.frames:
                raise
            intake.notices.append(_left_out(intake, "something that cannot be decoded"))
            break
        with sound:
            form = sound.samplerate, sound.channels
            if intake.frames and form != (intake.source_rate, intake.channels):
                count = "1 channel" if sound.channels == 1 else f"{sound.channels} channels"
                other = f"a stream of {count} at {sound.samplerate:,} Hz"
                intake.notices.append(_left_out(intake, other))
                break
            _read(sound, container, intake)
        if container == "ogg" and not is_intact(link):
            intake.is_incomplete = True


def _left_out(intake: Intake, what: str) -> str:
    seconds = intake.frames / intake.source_rate
    return (
        f"only {seconds:.2f} s were read: the file goes on with {what}; "
        "if that is sound, save it as a file of its own"
    )


def _decode_soundfile(file: BinaryIO, container: str, intake: Intake) -> None:
    # mp3 inside wav has its decoder, which complains on stderr
    calm = quiet_libmpg123() if container == "wav" and holds_mp3(file) else nullcontext()
    with calm, _open(FilePart(file), container, intake) as sound:
        _read(sound, container, intake)
    if container == "wav" and (unread := bytes_no_chunk_holds(file)) > _MAX_FOREIGN_BYTES:
        what = f"{unread / 1000:,.0f} kB that its header does not count"
        intake.notices.append(_left_out(intake, what))


def _open(file: FilePart | str, container: str, intake: Intake):
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise intake.error("reading it needs soundfile: pip install soundfile") from error
    try:
        return soundfile.SoundFile(file)  # pyright: ignore[reportArgumentType]
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        reason = getattr(error, "error_string", "the header makes no sense").strip(" .")
        raise intake.damaged(container, reason) from error


def _read(sound, container: str, intake: Intake) -> None:
    known = sound.frames if sound.frames < _UNKNOWN_FRAMES else None
    promised = _promised_frames(sound.extra_info, known)
    if intake.frames:
        intake.go_on(promised)
    else:
        intake.begin(sound.samplerate, sound.channels, known)
        intake.promised_frames = promised
    for block in _soundfile_blocks(sound, known, intake):
        intake.feed(block)
    if known and not intake.frames:
        raise intake.damaged(container, "none of its samples can be decoded")


def _soundfile_blocks(sound, known: int | None, intake: Intake) -> Iterator[np.ndarray]:
    """Blocks (S, channels) that share one buffer, up to the end or to where decoding fails."""
    import soundfile

    # soundfile seeks to where it already is after every read, which costs mp3 its bit reservoir
    sound.seekable = lambda: False
    buffer = np.empty((max(1, BLOCK_VALUES // sound.channels), sound.channels), np.float32)
    left = _UNKNOWN_FRAMES if known is None else known
    while left:
        # asked for more than there is, libsndfile fills up with zeros
        part = buffer[:left]
        part.fill(np.nan)
        try:
            block = sound.read(out=part)
        except soundfile.SoundFileError:
            # what was decoded before the fault lies in the buffer, NaN marks the rest
            untouched = np.isnan(part).any(axis=1)
            yield part[: int(untouched.argmax()) if untouched.any() else len(part)]
            intake.is_incomplete = True
            return
        if not len(block):
            return
        yield block
        left -= len(block)


def _promised_frames(log: str, frames: int | None) -> int | None:
    """Frames that the header promises: libsndfile corrects them silently, but its log tells."""
    if ds64 := _DS64_MISMATCH.search(log):
        return int(ds64[1])
    if frames and (mismatch := _SIZE_MISMATCH.search(log)):
        promised, found = int(mismatch[1]), int(mismatch[2])
        # a size near 2 or 4 GiB is how a program that writes into a pipe says "unknown"
        if 0 < found < promised < 0x7FFF_0000:
            return frames * promised // found
    return frames
