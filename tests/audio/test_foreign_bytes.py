"""What lies between and behind the sound of mp3 and wav files is passed over, and a loss is said."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from hostile_audio import encode, tone
from q2a_core.audio.waveform import load_waveform
from q2a_core.errors import AudioError


def mp3(seconds: float = 2.0, rate: int = 16_000, channels: int = 1) -> bytes:
    return encode(tone(seconds, rate, channels), rate, "MP3")


def id3(size: int) -> bytes:
    """An ID3v2 tag as big as one with a picture of `size` bytes."""
    return b"ID3\x03\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + b"\xff" * size


APE = b"APETAGEX" + struct.pack("<IIIIII", 2000, 9000, 1, 1 << 31, 0, 0) + b"x" * 9000
ID3V1 = b"TAG" + bytes(125)


# mp3


@pytest.mark.parametrize(
    "tags",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(id3(10), id="small id3"),
        pytest.param(id3(200_000), id="id3 with a picture"),
        pytest.param(id3(2_000_000), id="id3 with a large picture"),
        pytest.param(id3(200_000) + APE + ID3V1, id="id3v2, ape and id3v1"),
    ],
)
def test_tags_before_between_and_behind_mp3_cost_nothing(tags: bytes):
    joined, plain = load_waveform(tags + mp3() + tags + mp3() + tags), load_waveform(mp3() * 2)
    np.testing.assert_array_equal(joined.samples, plain.samples)
    assert 4 <= joined.seconds < 4.2
    assert joined.notices == ()


def test_two_id3_tags_in_a_row_are_skipped():
    assert load_waveform(id3(1000) + id3(200_000) + mp3()).seconds == 2


def test_mp3_goes_on_behind_a_long_foreign_stretch():
    data = mp3(4.0)
    half = len(data) // 2
    clip = load_waveform(data[:half] + bytes(100_000) + data[half:])
    assert 3.8 < clip.seconds <= 4
    assert any("damaged in places" in notice for notice in clip.notices)


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(mp3(channels=2), id="stereo"),
        pytest.param(mp3(rate=48_000), id="another rate"),
        pytest.param(b"\1" * 1_200_000 + mp3(), id="behind a megabyte"),
    ],
)
def test_mp3_that_is_not_read_is_said(rest: bytes):
    clip = load_waveform(mp3() + rest)
    assert clip.seconds == 2
    assert [n.startswith("only 2.00 s were read: the file goes on") for n in clip.notices] == [True]


@pytest.mark.parametrize(
    "tail", [ID3V1, APE, APE + ID3V1, bytes(50_000), b"garbage" * 100], ids=lambda tail: tail[:3]
)
def test_what_ordinary_mp3_files_end_with_is_not_mentioned(tail: bytes):
    clip = load_waveform(mp3() + tail)
    assert clip.seconds == 2
    assert clip.notices == ()


def test_an_mp3_that_cannot_be_opened_is_refused_without_a_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "._").write_bytes(bytes(4096))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(AudioError, match="the mp3 file is damaged or unsupported"):
        load_waveform(mp3())


@pytest.mark.parametrize("is_folder", [False, True])
def test_mp3_is_read_beside_the_files_of_a_macintosh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_folder: bool
):
    here, scratch = tmp_path / "here", tmp_path / "scratch"
    here.mkdir()
    scratch.mkdir()
    expected = load_waveform(mp3())
    if is_folder:
        (here / ".AppleDouble").mkdir()
    else:
        (here / "._").write_bytes(bytes(4096))
    monkeypatch.chdir(here)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    np.testing.assert_array_equal(load_waveform(mp3()).samples, expected.samples)
    assert not os.listdir(scratch)


# wav


def with_data_size(size: int) -> bytes:
    data = encode(tone(2.0))
    at = data.index(b"data") + 4
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


@pytest.mark.parametrize("size", [2_000, 30_000, 59_000])
def test_a_wav_that_counts_too_little_is_said(size: int):
    clip = load_waveform(with_data_size(size))
    assert clip.seconds == size / 32_000
    rest = f"{(64_000 - size) / 1000:,.0f} kB that its header does not count"
    assert [rest in notice for notice in clip.notices] == [True]


LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf58.29.100\0"


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(LIST, id="LIST"),
        pytest.param(b"id3 " + struct.pack("<I", 50_000) + b"\1" * 50_000, id="id3"),
        pytest.param(b"id3 " + struct.pack("<I", 90_000) + b"\1" * 50_000, id="a cut id3"),
        pytest.param(LIST + b"bext" + struct.pack("<I", 9_001) + b"\1" * 9_002, id="odd size"),
        pytest.param(
            LIST + b"bext" + struct.pack("<I", 9_001) + b"\1" * 9_001 + LIST, id="unpadded"
        ),
        pytest.param(bytes(50_000), id="zeros"),
        pytest.param(b"\1garbage" * 100, id="a little garbage"),
    ],
)
def test_what_ordinary_wav_files_end_with_is_not_mentioned(tail: bytes):
    clip = load_waveform(encode(tone(2.0)) + tail)
    assert clip.seconds == 2
    assert clip.notices == ()


@pytest.mark.parametrize("size", [0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_wav_of_unknown_size_is_read_to_its_end(size: int):
    clip = load_waveform(with_data_size(size))
    assert clip.seconds == 2
    assert clip.notices == ()
