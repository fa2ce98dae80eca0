"""Whatever is handed over: an AudioError in one clear sentence, a quiet terminal, bounded memory, no hang."""

import io
import os
import struct
import threading
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostile_audio import HOSTILE_AUDIO, Builder, encode, flac, flac_bomb, tone, wav
from q2a_core.audio.mp3 import quiet_libmpg123
from q2a_core.audio.source import shown_name
from q2a_core.audio.waveform import load_waveform
from q2a_core.errors import AudioError

CASES = pytest.mark.parametrize(
    ("builder", "fragment"),
    [pytest.param(builder, fragment, id=name) for name, builder, fragment in HOSTILE_AUDIO],
)


def test_table_is_large_and_its_names_differ():
    assert len({name for name, _, _ in HOSTILE_AUDIO}) == len(HOSTILE_AUDIO) >= 60


@CASES
def test_refused_with_name_and_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], builder: Builder, fragment: str
):
    path = builder(tmp_path)
    with pytest.raises(AudioError) as caught:
        load_waveform(path)
    message = str(caught.value)
    assert fragment in message
    assert message.startswith(shown_name(path))
    assert message.isprintable()
    assert str(tmp_path) not in message
    assert len(message) < 300
    assert capfd.readouterr() == ("", "")


@CASES
def test_refused_as_an_upload(tmp_path: Path, builder: Builder, fragment: str):
    path = builder(tmp_path)
    if path not in tmp_path.iterdir() or not path.is_file() or path.stat().st_size > 1e8:
        pytest.skip("exists as a path only")
    upload = io.BytesIO(path.read_bytes())
    upload.name = f"../evil/{path.name}"  # type: ignore[attr-defined]
    upload.seek(0, io.SEEK_END)  # as left behind by whoever read it before
    with pytest.raises(AudioError) as caught:
        load_waveform(upload)
    assert fragment in str(caught.value)
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("", id="empty name"),
        pytest.param("https://example.org/clip.wav", id="web address"),
        pytest.param(b"", id="no bytes"),
        pytest.param(io.StringIO("text"), id="text file"),
        pytest.param(None, id="none"),
        pytest.param(3, id="a number"),
        pytest.param({"array": [0.0]}, id="dict"),
    ],
)
def test_sources_that_are_no_clip(source: object):
    with pytest.raises(AudioError, match="expected"):
        load_waveform(source, sample_rate=16_000)


def test_a_closed_file_is_refused():
    file = io.BytesIO(encode(tone()))
    file.close()
    with pytest.raises(AudioError, match="closed or broken"):
        load_waveform(file)


def test_a_file_that_fails_while_it_is_read_is_refused():
    class Broken(io.RawIOBase):
        name = "usb/stick/clip.wav"

        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(AudioError, match=r"^clip\.wav: .*Input/output error"):
        load_waveform(Broken())


def test_permission_denied_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "secret.wav"
    path.write_bytes(encode(tone()))

    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(AudioError, match=r"^secret\.wav: permission denied"):
        load_waveform(path)


def _peak_of(source: object) -> float:
    """Most MB that were allocated while `source` was loaded or refused."""
    load_waveform(tone()[:, 0], sample_rate=8000)  # imports and tables are not counted
    tracemalloc.start()
    try:
        load_waveform(source)
    except AudioError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak / 1e6


def test_flac_bomb_is_refused_before_it_is_decoded():
    data = flac_bomb()
    assert len(data) < 2_000_000
    assert _peak_of(data) < 1


def test_a_header_that_promises_nothing_is_stopped_while_reading():
    data = flac(total=0)
    assert load_waveform(data).seconds == 0.5
    with pytest.raises(AudioError, match=r"at most 0\.25 s are taken"):
        load_waveform(data, max_seconds=0.25)


def test_memory_follows_the_mono_clip_and_not_the_channels(tmp_path: Path):
    # a minute of 32 channels is 123 MB as float32, and 4 MB in mono
    path = tmp_path / "wide.wav"
    size = 32 * 2 * 16_000 * 60
    path.write_bytes(wav(b"", channels=32, data_size=size))
    os.truncate(path, 44 + size)
    assert _peak_of(path) < 20
    assert load_waveform(path).seconds == 60


def _codec_bytes(container: str) -> bytes:
    return encode(tone(0.3), 16_000, container)


MUTATIONS = st.lists(
    st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8)), max_size=8
)


@pytest.mark.parametrize("container", ["WAV", "FLAC", "MP3", "OGG", "AIFF", "CAF", "W64", "RF64"])
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(mutations=MUTATIONS, end=st.integers(0, 1 << 16), in_header=st.booleans())
def test_fuzzed_files_raise_nothing_else(
    capfd: pytest.CaptureFixture[str],
    container: str,
    mutations: list[tuple[int, bytes]],
    end: int,
    in_header: bool,
):
    whole = _codec_bytes(container)
    data = bytearray(whole if end % 3 else whole[: end % len(whole)])
    for at, new in mutations:
        at %= 128 if in_header else len(whole)
        data[at : at + len(new)] = new
    with suppress(AudioError):
        clip = load_waveform(bytes(data))
        assert clip.samples.ndim == 1
        assert abs(clip.samples).max() <= 10
    assert capfd.readouterr() == ("", "")


def test_a_size_that_leads_to_nowhere_prints_nothing(capfd: pytest.CaptureFixture[str]):
    data = bytearray(encode(tone(), container="RF64"))
    at = data.index(b"ds64") + 16
    data[at : at + 8] = struct.pack("<Q", (1 << 63) - 1)
    assert len(load_waveform(bytes(data)).samples) == len(tone())
    assert capfd.readouterr().err == ""


def test_libmpg123_is_kept_off_the_terminal_and_others_are_not(
    capfd: pytest.CaptureFixture[str],
):
    data = bytearray(encode(tone(2.0), 16_000, "MP3"))
    data[2000:2400] = bytes(range(100)) * 4
    assert any("damaged in places" in notice for notice in load_waveform(bytes(data)).notices)
    assert capfd.readouterr().err == ""
    with quiet_libmpg123() as complaints:
        other = threading.Thread(target=os.write, args=(2, b"a line of another thread\n"))
        other.start()
        other.join()
        os.write(2, b"[src/libmpg123/layer3.c:x():1] error: bits\n")
    assert capfd.readouterr().err == "a line of another thread\n"
    assert complaints == ["[src/libmpg123/layer3.c:x():1] error: bits"]


def test_mp3_inside_a_cut_wav_is_quiet_too(capfd: pytest.CaptureFixture[str]):
    mp3 = encode(tone(2.0), 16_000, "MP3")
    fmt = struct.pack("<HHIIHHHHIHHH", 0x55, 1, 16_000, 4000, 1, 0, 12, 1, 2, 360, 1, 0)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data"
    data = b"RIFF" + struct.pack("<I", 9000) + body + struct.pack("<I", len(mp3)) + mp3
    assert load_waveform(data).seconds == 2
    assert 0.5 < load_waveform(data[: len(data) * 6 // 10]).seconds < 1.5
    assert capfd.readouterr().err == ""


def test_many_threads_read_mp3_at_once(capfd: pytest.CaptureFixture[str]):
    data = encode(tone(1.0), 16_000, "MP3")[:3000]
    results: list[float] = []
    threads = [
        threading.Thread(target=lambda: results.append(load_waveform(data).seconds))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert len(set(results)) == 1
    assert capfd.readouterr().err == ""
