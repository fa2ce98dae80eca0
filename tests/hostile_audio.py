"""Clips that must be refused, as data: each face runs its own test over `HOSTILE_AUDIO`.

A row is (name, builder, fragment): the builder writes the clip into a folder and returns its path; the fragment is
part of the sentence that the user must get.
"""

import io
import json
import os
import pickle
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

Builder = Callable[[Path], Path]


def tone(seconds: float = 0.5, rate: int = 16_000, channels: int = 1) -> np.ndarray:
    """A quiet gliding tone (S, channels) with a little noise, so that codecs have something to do."""
    count = round(seconds * rate)
    time = np.arange(count) / rate
    noise = np.random.default_rng(0).standard_normal(count)
    wave = 0.3 * np.sin(2 * np.pi * (300 + 200 * time) * time) + 0.01 * noise
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def encode(
    samples: np.ndarray, rate: int = 16_000, container: str = "WAV", codec: str | None = None
) -> bytes:
    """The bytes of an audio file that libsndfile writes."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=codec)
    return file.getvalue()


def wav(
    data: bytes,
    *,
    codec: int = 1,
    channels: int = 1,
    rate: int = 16_000,
    bits: int = 16,
    data_size: int | None = None,
) -> bytes:
    """A wav whose header says whatever it is told to."""
    frame = channels * bits // 8 & 0xFFFF
    fmt = struct.pack("<HHIIHH", codec, channels, rate, rate * frame & 0xFFFFFFFF, frame, bits)
    size = len(data) if data_size is None else data_size
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(body) + len(data)) + body + data


def flac(
    *, channels: int = 1, rate: int = 16_000, total: int | None = None, new_rate: int | None = None
) -> bytes:
    """A flac of half a second whose STREAMINFO promises `total` samples and `new_rate` Hz."""
    data = bytearray(encode(tone(0.5, rate, channels), rate, "FLAC"))
    at = data.index(b"fLaC") + 18  # rate (20 bits), channels (3), bits (5), total (36)
    fields = int.from_bytes(data[at : at + 8], "big")
    if total is not None:
        fields = fields >> 36 << 36 | total
    if new_rate is not None:
        fields = fields & (1 << 44) - 1 | new_rate << 44
    data[at : at + 8] = fields.to_bytes(8, "big")
    return bytes(data)


def flac_bomb() -> bytes:
    """A few kB that promise 10 minutes of 8 channels at 192 kHz: 3.4 GiB once decoded."""
    return flac(channels=8, rate=192_000, total=600 * 192_000)


def _bytes(name: str, data: Callable[[], bytes]) -> Builder:
    def build(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data())
        return path

    return build


def _sparse(name: str, data: Callable[[], bytes], size: int) -> Builder:
    def build(folder: Path) -> Path:
        path = _bytes(name, data)(folder)
        os.truncate(path, size)
        return path

    return build


def _float_wav(value: float, codec: str = "FLOAT") -> Callable[[], bytes]:
    def data() -> bytes:
        samples = tone().astype(np.float64)
        samples[4000] = value
        return encode(samples, codec=codec)

    return data


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("clip.wav", encode(tone()))
    return file.getvalue()


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, tone())
    return file.getvalue()


def _safetensors() -> bytes:
    header = json.dumps({"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})
    return struct.pack("<Q", len(header)) + header.encode() + bytes(4)


def _database(folder: Path) -> Path:
    path = folder / "notes.wav"
    connection = sqlite3.connect(path)
    connection.execute("create table notes (text)")
    connection.commit()
    connection.close()
    return path


def _ogg_of(codec: bytes) -> bytes:
    """One ogg page that names a codec which is not spoken here."""
    head = b"OggS\0\x02" + bytes(8) + struct.pack("<III", 1, 0, 0)
    return head + bytes([1, len(codec)]) + codec


def _without_frames(container: str) -> bytes:
    return encode(np.zeros((0, 1), np.float32), container=container)


def _noise(count: int = 5000) -> bytes:
    return np.random.default_rng(1).bytes(count)


def _cut(container: str, length: int, codec: str | None = None) -> Callable[[], bytes]:
    return lambda: encode(tone(), 16_000, container, codec)[:length]


def _broken_flac() -> bytes:
    data = flac()
    return data[: len(data) // 20 + 200] + bytes(4000)


def _missing(name: str) -> Builder:
    return lambda folder: folder / name


def _directory(folder: Path) -> Path:
    path = folder / "clips.wav"
    path.mkdir()
    return path


def _below_a_file(folder: Path) -> Path:
    return _bytes("clip.wav", lambda: encode(tone()))(folder) / "inner.wav"


def _pipe(folder: Path) -> Path:
    path = folder / "pipe.wav"
    os.mkfifo(path)
    return path


def _link(name: str, target: str) -> Builder:
    def build(folder: Path) -> Path:
        path = folder / name
        path.symlink_to(target)
        return path

    return build


def _forbidden(folder: Path) -> Path:
    path = _bytes("secret.wav", lambda: encode(tone()))(folder)
    path.chmod(0)
    return path


HOSTILE_AUDIO: list[tuple[str, Builder, str]] = [
    # no audio at all
    ("empty", _bytes("empty.wav", lambda: b""), "the file is empty (0 bytes)"),
    ("one byte", _bytes("one.wav", lambda: b"R"), "plain text"),
    ("zeros", _bytes("zeros.wav", lambda: bytes(4000)), "nothing but zero bytes"),
    ("random bytes", _bytes("noise.mp3", _noise), "bytes of an unknown kind"),
    ("text", _bytes("notes.flac", lambda: "Notizen über Töne".encode() * 9000), "plain text"),
    ("web page", _bytes("page.mp3", lambda: b"\n<!DOCTYPE html><html>404"), "a web page"),
    ("bare html", _bytes("page.wav", lambda: b"<html><body>no such clip"), "a web page"),
    ("svg", _bytes("icon.ogg", lambda: b"<svg xmlns='x'></svg>"), "an XML document"),
    ("xml", _bytes("feed.mp3", lambda: b"<?xml version='1.0'?><rss/>"), "an XML document"),
    ("json", _bytes("manifest.wav", lambda: b'{"clip": "a.wav"}'), "JSON text"),
    ("png", _bytes("image.wav", lambda: b"\x89PNG\r\n\x1a\n" + _noise(90)), "a PNG image"),
    ("jpeg", _bytes("image.mp3", lambda: b"\xff\xd8\xff\xe0" + _noise(90)), "a JPEG image"),
    ("gif", _bytes("image.flac", lambda: b"GIF89a" + _noise(90)), "a GIF image"),
    ("webp", _bytes("image.wav", lambda: b"RIFF\x50\0\0\0WEBPVP8 "), "a WebP image"),
    ("avi", _bytes("film.wav", lambda: b"RIFF\x50\0\0\0AVI LIST"), "an AVI video"),
    ("flash", _bytes("film.mp4", lambda: b"FLV\x01\x05" + bytes(90)), "a Flash video"),
    ("wma", _bytes("song.mp3", lambda: b"\x30\x26\xb2\x75" + _noise(90)), "Windows Media"),
    ("amr", _bytes("memo.wav", lambda: b"#!AMR\n" + _noise(90)), "an AMR recording"),
    ("midi", _bytes("song.wav", lambda: b"MThd\0\0\0\x06\0\x01"), "a MIDI file"),
    ("pdf", _bytes("paper.wav", lambda: b"%PDF-1.7\n" + _noise(90)), "a PDF document"),
    ("zip with a clip", _bytes("clips.wav", _zip), "a zip archive"),
    ("gzip", _bytes("clip.wav.gz", lambda: b"\x1f\x8b\x08" + _noise(90)), "compressed archive"),
    ("npy", _bytes("samples.npy", _npy), "a NumPy array file"),
    ("pickle", _bytes("clip.pkl", lambda: pickle.dumps([0.0] * 99)), "a Python pickle"),
    ("safetensors", _bytes("model.safetensors", _safetensors), "a safetensors file"),
    ("program", _bytes("run.wav", lambda: b"\x7fELF\x02" + _noise(90)), "a program"),
    ("database", _database, "a database"),
    ("lfs pointer", _bytes("clip.wav", lambda: b"version https://git-lfs.x/v1"), "git lfs pull"),
    # headers that break off or make no sense
    ("RIFF only", _bytes("riff.wav", lambda: b"RIFF"), "no audio file"),
    ("wav head only", _bytes("head.wav", lambda: b"RIFF\x24\0\0\0WAVE"), "the wav file is damaged"),
    ("wav cut in fmt", _bytes("fmt.wav", _cut("WAV", 26)), "the wav file is damaged"),
    ("wav without data", _bytes("nodata.wav", _cut("WAV", 36)), "No 'data' chunk"),
    ("wav of no frames", _bytes("none.wav", lambda: _without_frames("WAV")), "holds no samples"),
    ("wav of size 0", _bytes("crash.wav", lambda: wav(b"\1\0" * 99, data_size=0)), "no samples"),
    ("0 channels", _bytes("c0.wav", lambda: wav(bytes(9000), channels=0)), "damaged"),
    ("33 channels", _bytes("c33.wav", lambda: wav(bytes(66_000), channels=33)), "33 channels"),
    ("1024 channels", _bytes("c1k.wav", lambda: wav(bytes(1 << 16), channels=1024)), "1,024 ch"),
    ("65535 channels", _bytes("c64k.wav", lambda: wav(bytes(9000), channels=65_535)), "channels"),
    ("0 Hz", _bytes("r0.wav", lambda: wav(bytes(9000), rate=0)), "r0.wav"),
    ("100 Hz", _bytes("r100.wav", lambda: wav(bytes(9000), rate=100)), "sample rate of 100 Hz"),
    ("2 GHz", _bytes("r2g.wav", lambda: wav(bytes(9000), rate=2**31 - 1)), "2,147,483,647 Hz"),
    ("384,001 Hz", _bytes("r384.wav", lambda: wav(bytes(9000), rate=384_001)), "384,001 Hz"),
    ("unknown codec", _bytes("codec.wav", lambda: wav(bytes(9000), codec=0x1234)), "unsupported"),
    ("flac magic only", _bytes("magic.flac", lambda: b"fLaC"), "the flac file is damaged"),
    ("flac cut in header", _bytes("head.flac", _cut("FLAC", 30)), "the flac file is damaged"),
    ("flac, frames zeroed", _bytes("hollow.flac", _broken_flac), "damaged"),
    ("flac, 655,350 Hz", _bytes("fast.flac", lambda: flac(new_rate=655_350)), "655,350 Hz"),
    ("ogg magic only", _bytes("magic.ogg", lambda: b"OggS"), "the ogg file is damaged"),
    ("ogg, first page", _bytes("page.ogg", _cut("OGG", 58)), "the ogg file is damaged"),
    ("ogg, headers only", _bytes("head.ogg", _cut("OGG", 3446)), "ogg"),
    ("opus, first page", _bytes("page.opus", _cut("OGG", 47, "OPUS")), "the ogg file is damaged"),
    ("ogg of speex", _bytes("old.ogg", lambda: _ogg_of(b"Speex   1.2")), "the ogg file is damaged"),
    ("ogg of video", _bytes("film.ogg", lambda: _ogg_of(b"\x80theora")), "the ogg file is damaged"),
    ("mp3 of 60 bytes", _bytes("short.mp3", _cut("MP3", 60)), "no audio file"),
    ("id3 only", _bytes("tag.mp3", lambda: b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)), "no whole frame"),
    ("id3 lies", _bytes("tag2.mp3", lambda: b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + _noise()), "no whole"),
    ("aiff head only", _bytes("head.aiff", _cut("AIFF", 12)), "the aiff file is damaged"),
    ("aiff of no frames", _bytes("none.aiff", lambda: _without_frames("AIFF")), "none.aiff"),
    ("caf cut", _bytes("cut.caf", _cut("CAF", 9000)), "the caf file is damaged"),
    ("w64 cut in header", _bytes("head.w64", _cut("W64", 30)), "the w64 file is damaged"),
    ("rf64 cut in header", _bytes("head.rf64", _cut("RF64", 30)), "the rf64 file is damaged"),
    ("au of no codec", _bytes("old.au", lambda: b".snd" + bytes(40)), "the au file is damaged"),
    ("m4a junk", _bytes("memo.m4a", lambda: b"\0\0\0\x18ftypM4A " + _noise()), "m4a"),
    ("webm junk", _bytes("call.webm", lambda: b"\x1aE\xdf\xa3" + _noise()), "webm"),
    ("aac junk", _bytes("radio.aac", lambda: b"\xff\xf1" + _noise(400)), "aac"),
    # sound that cannot be used
    ("1 sample", _bytes("tick.wav", lambda: encode(tone()[:1])), "too short for one audio token"),
    ("320 samples", _bytes("20ms.wav", lambda: encode(tone()[:320])), "too short"),
    ("NaN", _bytes("nan.wav", _float_wav(np.nan)), "NaN or infinite"),
    ("infinite", _bytes("inf.wav", _float_wav(-np.inf)), "NaN or infinite"),
    ("1e300", _bytes("huge.wav", _float_wav(1e300, "DOUBLE")), "NaN or infinite"),
    ("integers as floats", _bytes("ints.wav", _float_wav(20_312.0)), "divided by 32,768"),
    ("flac bomb", _bytes("bomb.flac", flac_bomb), "million samples"),
    (
        "flac of 1193 hours",
        _bytes("long.flac", lambda: flac(total=(1 << 36) - 1)),
        "lasts at least",
    ),
    (
        "two hours of wav",
        _sparse("hours.wav", lambda: wav(b"", rate=1000, data_size=14_400_000), 14_400_044),
        "lasts at least 7,200 s",
    ),
    ("3 GB", _sparse("giant.wav", lambda: wav(b"", data_size=2**31 - 2), 3 * 10**9), "3.0 GB"),
    # paths
    ("no such file", _missing("missing.wav"), "no such file"),
    ("no such folder", _missing("nowhere/clip.wav"), "no such file"),
    ("a name of 300 letters", _missing("a" * 296 + ".wav"), "a.wav"),
    ("a zero byte in the name", _missing("a\0b.wav"), "ab.wav"),
    ("directory", _directory, "a directory"),
    ("below a file", _below_a_file, "inner.wav"),
]
if os.name == "posix":
    HOSTILE_AUDIO += [
        ("pipe", _pipe, "a pipe or device"),
        ("endless device", _link("zero.wav", "/dev/zero"), "a pipe or device"),
        ("dangling link", _link("dangling.wav", "nowhere.wav"), "no such file"),
        ("link to itself", _link("loop.wav", "loop.wav"), "cannot be opened"),
        ("control letters", _bytes("\x1b[31m\nred.wav", lambda: b"<html>"), "[31mred.wav"),
    ]
    if os.geteuid() != 0:  # the superuser reads everything
        HOSTILE_AUDIO.append(("forbidden", _forbidden, "permission denied"))
