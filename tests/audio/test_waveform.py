"""Every clip that can be heard is heard, right in length, level and content; what was done to it is said."""

import io
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hostile_audio import encode, tone, wav
from q2a_core.audio.intake import MAX_VALUES, Intake
from q2a_core.audio.mp3 import read_frames
from q2a_core.audio.waveform import Waveform, load_waveform, wav_bytes, write_wav
from q2a_core.errors import AudioError
from q2a_core.lengths import MIN_SAMPLES

EVERY_RATE = (8_000, 16_000, 44_100, 48_000, 192_000)
# container, codec, rates that it can hold
FORMATS = [
    ("WAV", "PCM_16", EVERY_RATE),
    ("WAV", "PCM_U8", EVERY_RATE),
    ("WAV", "PCM_24", EVERY_RATE),
    ("WAV", "DOUBLE", EVERY_RATE),
    ("FLAC", "PCM_16", EVERY_RATE),
    ("OGG", "VORBIS", EVERY_RATE),
    ("OGG", "OPUS", (8_000, 16_000, 48_000)),
    ("MP3", "MPEG_LAYER_III", (8_000, 16_000, 44_100, 48_000)),
    ("AIFF", "PCM_16", EVERY_RATE),
    ("CAF", "PCM_16", EVERY_RATE),
    ("W64", "PCM_16", EVERY_RATE),
    ("RF64", "PCM_16", EVERY_RATE),
    ("AU", "PCM_16", EVERY_RATE),
]
GOOD = [
    pytest.param(container, codec, rate, channels, id=f"{container}-{codec}-{rate}-{channels}ch")
    for container, codec, rates in FORMATS
    for rate in rates
    for channels in (1, 2)
]


def melody(rate: int, seconds: float = 0.7) -> np.ndarray:
    """A glide below 3 kHz (S,): the same sound at every sample rate, so it is its own oracle."""
    time = np.arange(round(seconds * rate)) / rate
    return 0.4 * np.sin(2 * np.pi * (200 + 900 * time) * time) + 0.1 * np.sin(4000 * time)


def stereo(rate: int) -> np.ndarray:
    """Two unequal channels (S, 2) whose average is the melody."""
    side = 0.1 * np.sin(2 * np.pi * 700 * np.arange(len(melody(rate))) / rate)
    return np.stack([melody(rate) + side, melody(rate) - side], axis=1)


def assert_melody(clip: Waveform, *, rate: int, correlation: float = 0.99) -> None:
    expected = melody(16_000)
    assert clip.samples.dtype == np.float32
    assert clip.sample_rate == 16_000
    assert clip.source_rate == rate
    assert abs(len(clip.samples) - len(melody(rate)) * 16_000 / rate) <= 1
    heard = slice(500, min(len(expected), len(clip.samples)))  # opus needs 30 ms to settle
    assert np.corrcoef(expected[heard], clip.samples[heard])[0, 1] > correlation
    level = np.square(clip.samples).mean() / np.square(expected).mean()
    assert 0.9 < level < 1.1


@pytest.mark.parametrize(("container", "codec", "rate", "channels"), GOOD)
def test_good_formats(container: str, codec: str, rate: int, channels: int):
    samples = melody(rate) if channels == 1 else stereo(rate)
    clip = load_waveform(encode(samples, rate, container, codec))
    # speech codecs at 8 kHz keep less of it
    assert_melody(clip, rate=rate, correlation=0.98 if (codec, rate) == ("OPUS", 8_000) else 0.99)
    assert clip.channels == channels
    averaged = ("2 channels were averaged",) if channels == 2 else ()
    resampled = () if rate == 16_000 else (f"resampled from {rate:,} Hz",)
    expected = averaged + resampled
    assert len(clip.notices) == len(expected)
    assert all(found.startswith(said) for found, said in zip(clip.notices, expected, strict=True))


@pytest.mark.parametrize("rate", [1_000, 384_000])
def test_bounds_of_the_sample_rate_are_included(rate: int):
    assert load_waveform(np.sin(np.arange(rate) / 9), sample_rate=rate).seconds == 1


def test_32_channels_are_averaged():
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (4000, 32))
    clip = load_waveform(encode(samples, 16_000, "WAV", "FLOAT"))
    np.testing.assert_allclose(clip.samples, samples.mean(axis=1), atol=1e-6)


def test_long_clips_equal_short_ones_across_block_borders():
    """The resampler runs through: 40 s in blocks of 1 MB equals one piece."""
    soxr = pytest.importorskip("soxr")
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 40 * 44_100).astype(np.float32)
    clip = load_waveform(samples, sample_rate=44_100)
    whole = soxr.resample(samples, 44_100, 16_000, quality="HQ")
    np.testing.assert_allclose(clip.samples, whole, atol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_any_length_is_resampled_as_librosa_does(rate: int):
    """By its formula: soxr, filled up with zeros. One sample more at the end may be a mel frame, and that a token."""
    soxr = pytest.importorskip("soxr")
    rng = np.random.default_rng(rate)
    for frames in (rate, rate + 1, *rng.integers(rate // 20, rate, size=6)):
        samples = rng.uniform(-0.5, 0.5, frames).astype(np.float32)
        clip = load_waveform(samples, sample_rate=rate)
        expected = np.zeros(int(np.ceil(frames * (16_000.0 / rate))), np.float32)
        resampled = soxr.resample(samples, rate, 16_000, quality="HQ")
        expected[: len(resampled)] = resampled
        np.testing.assert_allclose(clip.samples, expected, atol=1e-6)


# ways to hand a clip over


def test_path_string_bytes_upload_and_open_file_agree(tmp_path: Path):
    path = tmp_path / "melody.flac"
    path.write_bytes(encode(melody(44_100), 44_100, "FLAC"))
    upload = io.BytesIO(path.read_bytes())
    upload.name = "C:\\clips\\melody.flac"  # type: ignore[attr-defined]
    with path.open("rb") as file, path.open("rb", buffering=0) as unbuffered:
        file.seek(100)
        clips = [load_waveform(s) for s in (path, str(path), upload, file, unbuffered)]
        assert not file.closed
    assert {clip.name for clip in clips} == {"melody.flac"}
    data = path.read_bytes()
    every_other = memoryview(np.repeat(np.frombuffer(data, np.uint8), 2).tobytes())[::2]
    for held in (data, bytearray(data), every_other):
        clips.append(load_waveform(held))
        assert clips[-1].name == "the audio data"
    for clip in clips[1:]:
        np.testing.assert_array_equal(clip.samples, clips[0].samples)


def test_a_stream_that_cannot_seek_is_read():
    class Stream(io.RawIOBase):
        def __init__(self, data: bytes):
            self.data = io.BytesIO(data)

        def seekable(self) -> bool:
            return False

        def read(self, size: int = -1) -> bytes:
            return self.data.read(size)

    assert_melody(load_waveform(Stream(encode(melody(16_000)))), rate=16_000)


def test_content_counts_and_not_the_extension(tmp_path: Path):
    path = tmp_path / "melody.txt"
    path.write_bytes(encode(melody(16_000), 16_000, "MP3"))
    assert_melody(load_waveform(path), rate=16_000)


def test_the_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "melody.wav").write_bytes(encode(melody(16_000)))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert_melody(load_waveform("~/melody.wav"), rate=16_000)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a/b/c.wav", "c.wav"),
        ("..\\evil\\c.wav", "c.wav"),
        ("\x1b[2Jred\u202e\n.wav", "[2Jred.wav"),
        ("x" * 300 + ".wav", "x" * 40 + "…" + "x" * 15 + ".wav"),
        ("", "the audio data"),
        (7, "the audio data"),
    ],
)
def test_names_are_safe_to_print(name: object, shown: str):
    upload = io.BytesIO(encode(melody(16_000)))
    upload.name = name  # type: ignore[attr-defined]
    assert load_waveform(upload).name == shown


def test_a_rate_that_agrees_is_accepted_and_another_one_refused():
    data = encode(melody(44_100), 44_100)
    assert_melody(load_waveform(data, sample_rate=44_100), rate=44_100)
    with pytest.raises(AudioError, match=r"says 44,100 Hz, but sample_rate=16,000 was given"):
        load_waveform(data, sample_rate=16_000)


@pytest.mark.parametrize("rate", ["16000", True, 16_000.5, float("nan"), [16_000]])
def test_a_rate_that_is_no_number_is_refused(rate: object):
    with pytest.raises(AudioError, match="whole number of Hz"):
        load_waveform(melody(16_000), sample_rate=rate)  # type: ignore[arg-type]


# arrays


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda x: x, id="float64 (S,)"),
        pytest.param(lambda x: x.astype(np.float32), id="float32"),
        pytest.param(lambda x: x.astype(np.float16), id="float16"),
        pytest.param(lambda x: x.tolist(), id="list"),
        pytest.param(lambda x: np.stack([x, x], 1), id="(S, 2)"),
        pytest.param(lambda x: np.stack([x, x]), id="(2, S)"),
        pytest.param(lambda x: x[None], id="(1, S)"),
        pytest.param(lambda x: np.stack([x] * 32, 1).tolist(), id="(S, 32) list"),
        pytest.param(lambda x: (x * 32768).astype(np.int16), id="int16"),
        pytest.param(lambda x: (x * 2**31).astype(np.int32), id="int32"),
        pytest.param(lambda x: (x * 128).astype(np.int8), id="int8"),
        pytest.param(lambda x: (x * 128 + 128).astype(np.uint8), id="uint8"),
        pytest.param(lambda x: x[::-1].copy()[::-1], id="negative stride"),
        pytest.param(lambda x: x.astype(">f4"), id="big endian"),
    ],
)
def test_arrays_of_every_shape_and_type(convert):
    assert_melody(
        load_waveform(convert(melody(44_100)), sample_rate=44_100), rate=44_100, correlation=0.999
    )


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_the_lowest_integer_is_full_scale(dtype):
    extremes = np.tile(np.array([np.iinfo(dtype).min, 0], dtype), 400)
    clip = load_waveform(extremes, sample_rate=16_000)
    assert (clip.samples.min(), clip.samples.max()) == (-1, 0)


def test_torch_tensors_are_taken():
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(stereo(16_000).T.copy()).requires_grad_()
    clip = load_waveform(tensor, sample_rate=16_000)
    assert_melody(clip, rate=16_000, correlation=0.9999)
    with pytest.raises(AudioError, match="expected float32 samples"):
        load_waveform(tensor.bfloat16(), sample_rate=16_000)


def test_the_callers_array_is_not_shared():
    samples = melody(16_000).astype(np.float32)
    clip = load_waveform(samples, sample_rate=16_000)
    samples[:] = 9
    assert np.abs(clip.samples).max() < 1


@pytest.mark.parametrize(
    ("samples", "fragment"),
    [
        pytest.param([], "is empty", id="empty"),
        pytest.param(np.zeros((0, 2)), "is empty", id="empty stereo"),
        pytest.param([0.5], "too short", id="one sample"),
        pytest.param(np.zeros(MIN_SAMPLES - 1), "at least 321 samples", id="320 samples"),
        pytest.param(np.full(4000, np.nan), "NaN or infinite", id="nan"),
        pytest.param(np.full(4000, -np.inf), "NaN or infinite", id="inf"),
        pytest.param(np.full(4000, 1e300), "NaN or infinite", id="beyond float32"),
        pytest.param(melody(16_000) * 32768, "divided by 32,768", id="int16 values as floats"),
        pytest.param(melody(16_000) * 30, "divided by 32,768", id="ten times over full scale"),
        pytest.param([0, 900, -900] * 999, "full scale is not known", id="list of integers"),
        pytest.param(np.zeros(4000, bool), "holds bool values", id="bool"),
        pytest.param(np.zeros(4000, complex), "holds complex128 values", id="complex"),
        pytest.param(np.zeros(4000, object), "holds object values", id="object"),
        pytest.param(["a", "b"], "holds <U1 values", id="text"),
        pytest.param([[0.0, 0.1], [0.2]], "cannot be made a NumPy array", id="ragged"),
        pytest.param(np.float64(0.5), "has 0 dimensions", id="scalar"),
        pytest.param(np.zeros((1, 1, 4000)), "has 3 dimensions", id="three dimensions"),
        pytest.param(np.zeros((500, 400)), "cannot be told apart", id="(500, 400)"),
        pytest.param(np.zeros((20, 10)), "cannot be told apart", id="(20, 10)"),
    ],
)
def test_arrays_that_are_no_clip(samples: object, fragment: str):
    with pytest.raises(AudioError) as caught:
        load_waveform(samples, sample_rate=16_000)
    assert fragment in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_array_needs_its_rate():
    with pytest.raises(AudioError, match="pass sample_rate"):
        load_waveform(melody(16_000))
    with pytest.raises(AudioError, match="a sample rate of 16 Hz"):
        load_waveform(melody(16_000), sample_rate=16)


def test_the_shortest_clip_and_the_limit_in_seconds():
    assert len(load_waveform(np.zeros(MIN_SAMPLES), sample_rate=16_000).samples) == MIN_SAMPLES
    half_minutes = np.zeros(30 * 16_000)
    assert load_waveform(half_minutes, sample_rate=16_000, max_seconds=30).seconds == 30
    with pytest.raises(AudioError, match=r"lasts at least 40 s; at most 30 s are taken"):
        load_waveform(np.zeros(40 * 16_000), sample_rate=16_000, max_seconds=30)
    with pytest.raises(AudioError, match=r"lasts at least 30\.0001 s; at most 30 s are taken"):
        load_waveform(np.zeros(30 * 16_000 + 1), sample_rate=16_000, max_seconds=30)
    for wrong in (0, "1", float("nan")):
        with pytest.raises(
            AudioError, match=f"max_seconds is {wrong!r}; expected a number above 0"
        ):
            load_waveform(half_minutes, sample_rate=16_000, max_seconds=wrong)


# what is noticed


@pytest.mark.parametrize(
    ("samples", "notice"),
    [
        pytest.param(np.zeros(8000), "the clip is silent", id="silent"),
        pytest.param(melody(16_000) * 1e-3, "very quiet: its peak is -6", id="quiet"),
        pytest.param(melody(16_000) * 1e-4, "very quiet: its peak is -8", id="nearly silent"),
        pytest.param(melody(16_000) * 2e-5, "the clip is silent", id="below a step of 16 bits"),
        pytest.param(np.clip(melody(16_000) * 4, -1, 1), "clipped samples", id="clipped"),
        pytest.param(melody(16_000) * 6, "beyond full scale", id="over full scale"),
        pytest.param(
            np.stack([melody(16_000), -melody(16_000)]), "channels cancel each other", id="cancel"
        ),
        pytest.param(
            np.stack([melody(16_000), -0.9999 * melody(16_000)]),
            "channels cancel each other",
            id="cancel but for rounding",
        ),
    ],
)
def test_odd_levels_are_noticed(samples: np.ndarray, notice: str):
    clip = load_waveform(samples, sample_rate=16_000)
    assert [notice in found for found in clip.notices].count(True) == 1


@pytest.mark.parametrize(("held", "count"), [(3, 0), (4, 10)])
def test_a_flat_top_is_four_equal_samples(held: int, count: int):
    beat = np.r_[np.zeros(50), np.full(held, 0.99), np.zeros(50)]
    notices = load_waveform(np.tile(beat, 10), sample_rate=16_000).notices
    assert [f"{count} clipped samples" in notice for notice in notices] == [True] * (count > 0)


def test_a_low_rate_says_up_to_which_pitch_it_goes():
    [notice] = load_waveform(melody(8_000), sample_rate=8_000).notices
    assert notice.endswith("nothing above 4,000 Hz is in it")


def test_a_twentieth_that_is_missing_is_told():
    whole = wav_bytes(melody(16_000).astype(np.float32))
    [notice] = load_waveform(whole[: len(whole) * 19 // 20]).notices
    assert "its header promises 0.70 s" in notice


def test_many_channels_count_towards_the_bound():
    """What a header promises is refused before anything is decoded."""
    intake = Intake("a.wav", max_seconds=None)
    intake.begin(48_000, 2, MAX_VALUES // 2)
    with pytest.raises(AudioError, match="at most 173 million are decoded"):
        intake.begin(48_000, 3, MAX_VALUES // 2)


def test_a_clean_tone_at_full_scale_is_not_called_clipped():
    tone_50_hz = np.sin(2 * np.pi * 50 * np.arange(48_000) / 48_000)
    clip = load_waveform((tone_50_hz * 32767).astype(np.int16), sample_rate=48_000)
    assert clip.notices == ("resampled from 48,000 Hz",)


@pytest.mark.parametrize(
    ("container", "codec"),
    [(container, codec) for container, codec, _ in FORMATS if container != "CAF"],
)
def test_of_a_cut_file_the_rest_is_used(container: str, codec: str):
    samples = tone(10.0)[:, 0]
    data = encode(samples, 16_000, container, codec)
    clip = load_waveform(data[: len(data) * 6 // 10])
    assert 4 < clip.seconds < 6.5
    assert [n for n in clip.notices if "the file is truncated" in n]
    count = len(clip.samples) - 2000
    assert np.corrcoef(clip.samples[:count], samples[:count])[0, 1] > 0.99


def test_a_cut_wav_tells_both_lengths():
    data = wav(bytes(2 * 8_000), data_size=2 * 32_000)
    assert load_waveform(data).notices[0] == (
        "the file is truncated or damaged: its header promises 2 s, 0.50 s could be read"
    )


@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x7FFF_FFFF, 0xFFFF_FFDB])
def test_a_wav_written_into_a_pipe_is_not_called_truncated(size: int):
    data = encode(melody(16_000))[44:]
    clip = load_waveform(wav(data, data_size=size))
    assert_melody(clip, rate=16_000)
    assert clip.notices == ()


# mp3


def _without_tag(data: bytes) -> bytes:
    """An mp3 as it comes out of the middle of a longer one."""
    return data[data.index(b"\xff", data.index(b"Xing") + 140) :]


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (16_000, 1), (8_000, 1)])
def test_an_mp3_without_a_frame_count_is_heard_to_its_end(rate: int, channels: int):
    samples = tone(12.0, rate, channels)
    data = encode(samples, rate, "MP3")
    whole, bare = load_waveform(data), load_waveform(_without_tag(data))
    assert whole.seconds == 12
    assert 0 <= bare.seconds - whole.seconds < 0.2  # the tag also told how much padding to drop
    # libsndfile alone guesses a shorter clip
    assert soundfile.info(io.BytesIO(_without_tag(data))).duration < 8


def test_an_mp3_in_which_the_count_lies_is_heard_to_its_end():
    data = encode(tone(3.0), 16_000, "MP3")
    at = data.index(b"Xing") + 8
    assert load_waveform(data[:at] + struct.pack(">I", 5) + data[at + 4 :]).seconds == 3


def test_mp3_frames_are_found_between_foreign_bytes():
    data = encode(tone(3.0), 16_000, "MP3")
    id3 = b"ID3\x04\0\0\0\0\x02\0" + bytes(256)
    stream = read_frames(id3 + data + b"TAG" + bytes(125))
    assert stream is not None
    assert stream.data == data
    assert not stream.has_gaps
    assert not stream.is_cut
    half = len(data) // 2
    gap = read_frames(data[:half] + b"\xffgarbage" * 99 + data[half:])
    assert gap is not None
    assert gap.has_gaps
    assert len(data) - 2000 < len(gap.data) <= len(data)
    assert load_waveform(id3 + data).notices == ()


def test_a_flac_behind_an_id3_tag_is_a_flac():
    data = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + encode(melody(16_000), 16_000, "FLAC")
    assert_melody(load_waveform(data), rate=16_000)


# phones and browsers, through PyAV


def _media(container: str, codec: str, rate: int, channels: int) -> bytes:
    av = pytest.importorskip("av")
    layout = "mono" if channels == 1 else "stereo"
    samples = (melody(rate)[:, None] if channels == 1 else stereo(rate)).T.astype(np.float32)
    file = io.BytesIO()
    with av.open(file, "w", format=container) as media:
        stream = media.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(
            format=stream.codec_context.format, layout=layout, rate=rate, frame_size=1024
        )
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", layout)
        frame.sample_rate, frame.pts = rate, 0
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            media.mux(stream.encode(part))
    return file.getvalue()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("ipod", "aac", 44_100),
        ("mp4", "aac", 16_000),
        ("mov", "pcm_s16le", 48_000),
        ("matroska", "flac", 44_100),
        ("matroska", "pcm_s16le", 8_000),
        ("adts", "aac", 48_000),
    ],
)
def test_media_containers(container: str, codec: str, rate: int, channels: int):
    clip = load_waveform(_media(container, codec, rate, channels))
    expected = melody(16_000)
    assert (clip.source_rate, clip.channels) == (rate, channels)
    extra = len(clip.samples) - len(expected)
    assert -1 <= extra < 2 * 2048 * 16_000 / rate  # aac pads to whole frames
    shift = extra if container == "adts" else 0  # and there only mp4 says by how much
    scores = [
        np.corrcoef(expected[1000:9000], clip.samples[1000 + k : 9000 + k])[0, 1]
        for k in range(shift + 1)
    ]
    assert max(scores) > 0.99


def test_media_without_its_decoder_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError, match=r'pip install "q2a\[media\]"'):
        load_waveform(b"\0\0\0\x1cftypM4A " + bytes(100))


def test_a_cut_recording_of_a_browser_is_used_and_a_cut_m4a_refused():
    data = _media("matroska", "flac", 44_100, 1)
    clip = load_waveform(data[: len(data) * 6 // 10])
    assert 0.2 < clip.seconds < 0.6
    assert any("truncated" in notice for notice in clip.notices)
    data = _media("ipod", "aac", 44_100, 1)
    with pytest.raises(AudioError, match="m4a/mp4 file is damaged"):
        load_waveform(data[: len(data) // 2])


def test_media_longer_than_the_limit_are_refused():
    with pytest.raises(AudioError, match=r"lasts at least 0\.7 s; at most 0\.50 s are taken"):
        load_waveform(_media("ipod", "aac", 44_100, 1), max_seconds=0.5)


@pytest.mark.parametrize("library", ["soundfile", "soxr"])
def test_a_missing_library_is_named(library: str, monkeypatch: pytest.MonkeyPatch):
    data = encode(melody(8_000), 8_000)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(AudioError, match=f"pip install {library}"):
        load_waveform(data)


def test_arrays_at_16_khz_need_neither_library_nor_torch():
    code = (
        "import sys, numpy; from q2a_core.audio import load_waveform, wav_bytes;"
        "wav_bytes(load_waveform(numpy.zeros(900), sample_rate=16_000).samples);"
        "assert not {'torch', 'soundfile', 'soxr', 'av'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# writing


def test_written_wav_is_read_back_exactly(tmp_path: Path):
    samples = np.random.default_rng(0).integers(-32_768, 32_768, 4000).astype(np.int16)
    write_wav(tmp_path / "a.wav", samples)
    written, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert rate == 16_000
    np.testing.assert_array_equal(written, samples)
    floats = load_waveform(tmp_path / "a.wav").samples
    assert wav_bytes(floats) == (tmp_path / "a.wav").read_bytes()
    file = io.BytesIO()
    write_wav(file, floats, 8_000)
    assert load_waveform(file).source_rate == 8_000


def test_loud_floats_are_clipped_and_not_wrapped():
    written, _ = soundfile.read(io.BytesIO(wav_bytes(np.array([0.5, 1.0, 7.0, -7.0]))))
    np.testing.assert_allclose(written, [0.5, 32_767 / 32_768, 32_767 / 32_768, -1.0])
    steps, _ = soundfile.read(io.BytesIO(wav_bytes(np.array([0.9, -0.6]) / 32_768)))
    np.testing.assert_array_equal(steps * 32_768, [1, -1])  # the nearest, not the one towards zero
    halves = np.array([0.5, 3.0, -3.0], np.float16)  # 3 x 32,768 is more than float16 holds
    assert wav_bytes(halves) == wav_bytes(halves.astype(np.float64))


@pytest.mark.parametrize(
    "samples",
    [np.zeros((2, 90)), np.zeros(90, np.int32), np.full(90, np.nan), np.zeros(90, complex)],
)
def test_what_cannot_be_written_is_refused(samples: np.ndarray):
    with pytest.raises(AudioError, match="cannot write"):
        wav_bytes(samples)


def test_a_disk_that_refuses_is_told(tmp_path: Path):
    with pytest.raises(AudioError, match=r"^clip\.wav: cannot be written") as caught:
        write_wav(tmp_path / "nowhere" / "clip.wav", np.zeros(90))
    assert str(tmp_path) not in str(caught.value)


def test_a_waveform_comes_back_as_it_is_and_is_looked_at_again():
    waveform = load_waveform(np.zeros(9000, np.float32), sample_rate=44_100)
    assert load_waveform(waveform) is waveform
    assert load_waveform(waveform, sample_rate=16_000) is waveform
    with pytest.raises(AudioError, match="44,100"):
        load_waveform(waveform, sample_rate=44_100)
    with pytest.raises(AudioError, match="at most"):
        load_waveform(waveform, max_seconds=0.1)
    waveform.samples[5] = np.nan
    with pytest.raises(AudioError, match="NaN"):
        load_waveform(waveform)


def test_a_waveform_at_another_rate_is_refused():
    """The model would hear it at another speed."""
    waveform = load_waveform(melody(16_000), sample_rate=16_000)
    with pytest.raises(AudioError, match=r"a Waveform at 8,000 Hz; expected 16,000 Hz"):
        load_waveform(replace(waveform, sample_rate=8_000))
