"""Recorded and live traces: what is drawn is what the model hears, and what was written is what is read."""

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from q2a_core import lengths
from q2a_core.audio import Waveform, load_waveform, write_wav
from q2a_core.audio.mel import log_mel
from q2a_core.errors import Q2AError
from q2a_core.hashes import content_hash
from q2a_core.inference import AudioChat, GenerationSettings
from q2a_core.inference.clips import read_clips
from q2a_core.inspection import Trace, read_trace, record_trace, view_clip, write_trace
from q2a_core.inspection.trace import (
    CLIP_DIGITS,
    TICK_HERTZ,
    describe_decoding,
    envelope,
    mel_position,
)


def clip(seconds: float, seed: int = 0) -> Waveform:
    rng = np.random.default_rng(seed)
    samples = 0.2 * rng.standard_normal(round(seconds * lengths.SAMPLE_RATE)).astype(np.float32)
    return load_waveform(samples.clip(-1, 1), sample_rate=lengths.SAMPLE_RATE)


@pytest.mark.parametrize(
    ("samples", "slices"), [(5000, 7), (1200, 1200), (321, 1200), (99_991, 64)]
)
def test_envelope_holds_the_extremes_of_every_slice(samples, slices):
    values = np.random.default_rng(1).uniform(-1, 1, samples).astype(np.float32)
    edges = envelope(values, slices)
    starts = [samples * k // edges.shape[1] for k in range(edges.shape[1])] + [samples]
    for k, (start, stop) in enumerate(itertools.pairwise(starts)):
        low, high = values[start:stop].min() * 32768, values[start:stop].max() * 32768
        assert edges[0, k] == pytest.approx(low, abs=1)
        assert edges[1, k] == pytest.approx(min(high, 32767), abs=1)


def test_a_loud_clip_s_trace_keeps_its_peak(tmp_path):
    loud = replace(clip(1.0), samples=5 * clip(1.0).samples)
    view = view_clip(loud)
    write_trace(tmp_path / "a.npz", Trace(clip_hash="", view=view))
    again = read_trace(tmp_path / "a.npz").view
    assert again.peak == view.peak == pytest.approx(np.abs(loud.samples).max(), rel=1e-4)
    assert view_clip(clip(1.0)).full_scale == 1.0, "others are held as ever"


@pytest.mark.parametrize("seconds", [0.0201, 0.5, 1.23456])
def test_view_shows_the_log_mel_of_the_model(seconds):
    waveform = clip(seconds)
    view = view_clip(waveform)
    frames = lengths.mel_frames(len(waveform.samples))
    expected = log_mel(waveform.samples).numpy()[:, :frames]
    low, high = view.mel_range
    assert view.mel.shape == (128, frames)
    assert np.abs(low + view.mel / 255 * (high - low) - expected).max() <= (high - low) / 510 + 1e-6
    assert view.audio_tokens == lengths.audio_tokens(frames)
    assert view.seconds == pytest.approx(waveform.seconds)


def test_view_of_a_long_clip_is_that_of_its_windows():
    waveform = clip(61.5)
    window = 30 * lengths.SAMPLE_RATE
    pieces = [waveform.samples[start : start + window] for start in (0, window, 2 * window)]
    view = view_clip(waveform)
    assert view.audio_tokens == sum(lengths.tokens_of_samples(len(piece)) for piece in pieces)
    assert view.mel.shape[1] == sum(lengths.mel_frames(len(piece)) for piece in pieces)
    low, high = view.mel_range
    second = low + view.mel[:, 3000:6000] / 255 * (high - low)
    assert np.abs(second - log_mel(pieces[1]).numpy()).max() < (high - low) / 500


@pytest.mark.parametrize("rest", [1, 96, 160, 320, 321, 640])
def test_view_of_a_clip_just_over_the_window_counts_what_a_chat_hears(rest):
    waveform = clip(30 + rest / lengths.SAMPLE_RATE)
    window = 30 * lengths.SAMPLE_RATE
    pieces = [len(piece.samples) for piece in read_clips(waveform, window=window, split="window")]
    view = view_clip(waveform)
    assert view.audio_tokens == sum(lengths.tokens_of_samples(piece) for piece in pieces)
    assert view.mel.shape[1] == sum(lengths.mel_frames(piece) for piece in pieces)


def test_silence_is_drawn_flat():
    view = view_clip(load_waveform(np.zeros(16_000, np.float32), sample_rate=16_000))
    assert not view.mel.any()
    assert view.mel_range == (-1.5, -1.5)


def test_mel_marks_lie_where_librosa_puts_them():
    librosa = pytest.importorskip("librosa")
    top = librosa.hz_to_mel(8000)
    for hertz in TICK_HERTZ:
        expected = librosa.hz_to_mel(hertz) / top * 129 - 1
        assert mel_position(hertz, 128) == pytest.approx(expected, abs=0.25)


@pytest.fixture(scope="module")
def recorded(tiny_checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "noise.wav"
    write_wav(path, clip(0.8).samples)
    return path, record_trace(AudioChat.from_pretrained(tiny_checkpoint), path, question="What?")


def test_recorded_reply_is_the_reply(recorded, tiny_checkpoint):
    path, trace = recorded
    chat = AudioChat.from_pretrained(tiny_checkpoint)
    reply = chat.ask(audio=path, text="What?")
    assert trace.reply is not None
    assert (trace.reply.text, trace.reply.question) == (reply.text, "What?")
    assert trace.reply.confidence == pytest.approx(reply.confidence)
    assert trace.reply.checkpoint_hash == chat.checkpoint.hash
    assert trace.clip_hash == content_hash(path.read_bytes(), CLIP_DIGITS)


def test_what_was_written_is_read(recorded, tmp_path):
    trace = recorded[1]
    first, second = tmp_path / "traces" / "a.npz", tmp_path / "traces" / "b.npz"
    write_trace(first, trace)
    again = read_trace(first)
    assert (again.view.mel == trace.view.mel).all()
    assert (again.view.envelope == trace.view.envelope).all()
    for name in ("samples", "mel_range", "mel_ticks"):
        assert getattr(again.view, name) == getattr(trace.view, name)
    assert (again.reply, again.clip_hash) == (trace.reply, trace.clip_hash)
    write_trace(second, again)
    assert first.read_bytes() == second.read_bytes(), "the same trace is the same file"


def test_a_trace_without_a_reply(tmp_path):
    path = tmp_path / "t.npz"
    write_trace(path, Trace(clip_hash="0", view=view_clip(clip(0.1))))
    assert read_trace(path).reply is None


def damage_none(path):
    path.unlink()


def damage_cut(path):
    path.write_bytes(path.read_bytes()[:900])


def damage_text(path):
    path.write_text("not a trace")


def damage_pickle(path):
    np.savez(path, head=np.array([{"version": 1}], dtype=object))


def damage_head(path):
    np.savez(path, head=np.frombuffer(b"[]", np.uint8))


def damage_version(path):
    np.savez(path, head=np.frombuffer(b'{"version": 99}', np.uint8))


@pytest.mark.parametrize(
    "damage",
    [damage_none, damage_cut, damage_text, damage_pickle, damage_head, damage_version],
)
def test_a_damaged_trace_is_one_sentence(damage, recorded, tmp_path):
    path = tmp_path / "clip.npz"
    write_trace(path, recorded[1])
    damage(path)
    with pytest.raises(Q2AError, match=r"clip\.npz .*record it again"):
        read_trace(path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "greedy, at most 256 tokens"),
        ({"repetition_penalty": 1.1}, "greedy, repetition penalty 1.1, at most 256 tokens"),
        (
            {"temperature": 0.7, "top_k": 0, "top_p": 0.5, "max_new_tokens": 9},
            "temperature 0.7, top-p 0.5, seed 3, at most 9 tokens",
        ),
    ],
)
def test_decoding_in_words(settings, words):
    settings = {"max_new_tokens": 256} | settings
    assert describe_decoding(GenerationSettings(**settings), seed=3) == words


def test_reading_and_playing_need_no_torch(recorded, tmp_path):
    path = tmp_path / "t.npz"
    write_trace(path, recorded[1])
    program = (
        "import sys, numpy as np\n"
        "from q2a_core.inspection import read_trace, player_html, read_gallery\n"
        f"view = read_trace(__import__('pathlib').Path({str(path)!r})).view\n"
        "player_html(view, np.zeros(view.samples, np.float32), name='a')\n"
        "print([name for name in ('torch', 'matplotlib', 'streamlit') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
