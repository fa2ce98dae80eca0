"""Files in which streams follow one another are heard to their end, or it is said what was left out."""

import io

import numpy as np
import pytest

from hostile_audio import encode, tone
from q2a_core.audio import links
from q2a_core.audio.waveform import load_waveform
from q2a_core.errors import AudioError

LOSSLESS_OR_OGG = pytest.mark.parametrize(
    ("container", "codec"),
    [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")],
    ids=["flac", "vorbis", "opus"],
)


def ogg_pages(data: bytes) -> list[int]:
    """Where the pages of a sound Ogg file begin, by the lengths in their heads."""
    starts, at = [], 0
    while at < len(data):
        starts.append(at)
        segments = data[at + 26]
        at += 27 + segments + sum(data[at + 27 : at + 27 + segments])
    return starts


@LOSSLESS_OR_OGG
def test_every_stream_of_a_joined_file_is_heard(container: str, codec: str):
    first = encode(tone(1.0), 16_000, container, codec)
    second = encode(tone(2.0)[::-1], 16_000, container, codec)
    apart = [load_waveform(data).samples for data in (first, second, first)]
    joined = load_waveform(first + second + first)
    np.testing.assert_array_equal(joined.samples, np.concatenate(apart))
    assert joined.notices == ()


@LOSSLESS_OR_OGG
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 2), (48_000, 1)])
def test_a_stream_of_another_form_is_said_to_be_left_out(
    container: str, codec: str, rate: int, channels: int
):
    other = encode(tone(1.0, rate, channels), rate, container, codec)
    clip = load_waveform(encode(tone(2.0), 16_000, container, codec) + other)
    assert clip.seconds == 2
    assert len(clip.notices) == 1
    assert clip.notices[0].startswith("only 2.00 s were read")
    count = "1 channel" if channels == 1 else "2 channels"
    assert f"{count} at {rate:,} Hz" in clip.notices[0]


@LOSSLESS_OR_OGG
def test_a_stream_of_which_only_the_head_is_there_is_said_to_be_missing(container: str, codec: str):
    data = encode(tone(2.0), 16_000, container, codec)
    clip = load_waveform(data + data[:42] + bytes(500))
    assert clip.seconds == 2
    # flac promises a length there, an Ogg stream does not open
    said = "promises 4 s" if container == "FLAC" else "something that cannot be decoded"
    assert [notice for notice in clip.notices if said in notice]


@LOSSLESS_OR_OGG
def test_the_limit_in_seconds_counts_all_streams(container: str, codec: str):
    data = encode(tone(2.0), 16_000, container, codec)
    assert load_waveform(data, max_seconds=3).seconds == 2
    with pytest.raises(AudioError, match=r"lasts at least 4 s; at most 3 s are taken"):
        load_waveform(data + data, max_seconds=3)


def test_streams_without_number_are_refused():
    head = encode(tone(0.1), 16_000, "FLAC")[:42]
    with pytest.raises(AudioError, match=r"more than 1,000 streams"):
        load_waveform(head * 3_000)


def test_streams_are_found_across_the_borders_of_blocks(monkeypatch: pytest.MonkeyPatch):
    flac = encode(tone(0.5), 16_000, "FLAC")
    for size in (9, 64, len(flac), len(flac) + 3):
        monkeypatch.setattr(links, "_BLOCK", size)
        found = links.find_links(io.BytesIO(flac * 3), "flac")
        assert [part.read(1 << 20) for part in found] == [flac] * 3


def test_decoding_that_fails_behind_the_promised_end_adds_no_silence():
    data = encode(tone(2.0), 16_000, "FLAC")
    whole = load_waveform(data)
    for rest in (data[-2000:], data[100:], bytes(9000)):
        clip = load_waveform(data + rest)
        np.testing.assert_array_equal(clip.samples, whole.samples)


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_one_wrong_bit_in_any_page_of_an_ogg_is_said(codec: str):
    data = encode(tone(4.0), 16_000, "OGG", codec)
    assert load_waveform(data).notices == ()
    for page in ogg_pages(data)[2:]:
        damaged = bytearray(data)
        damaged[page + 200] ^= 1
        clip = load_waveform(bytes(damaged))
        assert clip.seconds < 3.5
        assert len(clip.notices) == 1
        assert "truncated or damaged" in clip.notices[0]
