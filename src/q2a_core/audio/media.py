"""The containers of phones and browsers (m4a, mp4, mov, webm, mkv, aac) through PyAV, an optional extra.

FFmpeg is told which demuxer to use and is given an open file, so neither its guesses nor its network protocols play a
part. It raises some ten kinds of exceptions on damaged files, MemoryError among them: this is the one place in the
package that catches them all.
"""

from collections.abc import Iterator
from typing import BinaryIO

from q2a_core.audio.intake import Intake

DEMUXERS = {"m4a/mp4": "mov", "webm/mkv": "matroska", "aac": "aac"}
"""FFmpeg's demuxer by container, as `sniff` names it."""


def decode_media(file: BinaryIO, container: str, intake: Intake) -> None:
    """Feed a file of a container in `DEMUXERS` to `intake`; raises AudioError, also without PyAV."""
    try:
        import av
    except ImportError as error:
        raise intake.error(
            f'{container} needs an extra decoder: pip install "q2a[media]", or convert the clip to wav'
        ) from error
    try:
        media = _open(av, file, DEMUXERS[container])
    except Exception as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise intake.damaged(container, reason) from error
    with media:
        if not media.streams.audio:
            raise intake.error(f"the {container} file has no sound track")
        stream = media.streams.audio[0]
        codec = stream.codec_context
        if codec is None or not codec.sample_rate:
            raise intake.damaged(container, "its codec or sample rate is not known")
        rate, channels = codec.sample_rate, codec.channels
        # bare aac has no header; its length is an estimate from the bit rate
        frames = None if container == "aac" else _media_frames(media, stream, rate)
        intake.begin(rate, channels, frames)
        for part in _media_parts(av, media, stream, intake):
            if (part.sample_rate, part.layout.nb_channels) != (rate, channels):
                raise intake.error("its sample rate or number of channels changes on the way")
            intake.feed(part.to_ndarray().T)
    if not intake.frames:
        raise intake.damaged(container, "none of its sound can be decoded")
    if frames and intake.frames > 0.95 * frames:  # lengths in containers are approximate
        intake.promised_frames = None


def _open(av, file: BinaryIO, demuxer: str):
    """The container, whatever its title and artist are written in."""
    try:
        return av.open(file, "r", format=demuxer, metadata_errors="ignore")
    except TypeError:  # PyAV 19 reads them as they are and takes no such word
        return av.open(file, "r", format=demuxer)


def _media_frames(media, stream, rate: int) -> int | None:
    """Frames that the header promises, of the sound track if it tells, else of the whole file."""
    if stream.duration:
        return max(0, round(stream.duration * stream.time_base * rate))
    return max(0, media.duration) * rate // 1_000_000 if media.duration else None


def _media_parts(av, media, stream, intake: Intake) -> Iterator:
    """PyAV frames as planar float32, up to the end or to the place where decoding fails."""
    to_float = av.AudioResampler(format="fltp")
    try:
        for frame in media.decode(stream):
            yield from to_float.resample(frame)
    except Exception:  # what came before the fault is kept
        intake.is_incomplete = True
