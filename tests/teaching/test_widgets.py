"""The lessons' widgets without a browser: what a notebook keeps of them, the token that comes back, and the pace."""

import asyncio
import base64
import time

import numpy as np
import pytest
from matplotlib.figure import Figure

from q2a_core.audio import load_waveform
from q2a_core.audio.waveform import wav_bytes
from q2a_core.errors import AudioError, Q2AError
from q2a_core.inspection.front_end import MelSettings, resynthesise
from q2a_core.teaching.widgets import FramedPlayer, Knobs, front_end_knobs, show_player
from q2a_core.teaching.widgets import player as player_module
from q2a_core.teaching.widgets.front_end_knobs import draw_front_end
from q2a_core.teaching.widgets.knobs import Pace
from q2a_core.teaching.widgets.still import still_bundle

LIVE = "application/vnd.jupyter.widget-view+json"
HOSTILE = '"><script>alert(1)</script>'
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 20_000).astype(np.float32)


def bundle_of(widget) -> dict:
    bundle = widget._repr_mimebundle_()
    return bundle[0] if isinstance(bundle, tuple) else bundle


def is_png(text: str) -> bool:
    return base64.b64decode(text).startswith(b"\x89PNG")


@pytest.fixture
def framed(monkeypatch):
    """As where anywidget is not installed."""
    monkeypatch.setattr(player_module.importlib.util, "find_spec", lambda name: None)


def test_the_player_hands_the_token_to_python_and_back():
    pytest.importorskip("anywidget")
    shown = show_player(NOISE, sample_rate=16_000, name="noise", token=3)
    assert shown.token == 3
    seen = []
    shown.observe(lambda change: seen.append(change["new"]), "token")
    shown.set_state({"token": 7})  # as the browser sends it
    assert (shown.token, seen) == (7, [7])
    with pytest.raises(Exception, match="expected 0 to 30"):
        shown.token = 31
    shown.token = None
    state = shown.get_state()
    assert "mountPlayer" in state["_esm"]
    assert "http" not in state["_esm"] + state["style_sheet"]
    assert state["clip"]["tokens"]["count"] == 31


def test_every_output_has_a_picture_and_words():
    pytest.importorskip("anywidget")
    kept = bundle_of(show_player(NOISE, sample_rate=16_000, name=HOSTILE))
    assert kept[LIVE]["model_id"]
    assert is_png(kept["image/png"])
    assert "1.25 seconds" in kept["text/plain"]
    assert "31 audio tokens" in kept["text/html"]
    assert "<script" not in kept["text/html"]


def test_without_anywidget_the_player_stands_in_a_frame(framed):
    shown = show_player(NOISE, sample_rate=16_000, name=HOSTILE, token=2)
    assert isinstance(shown, FramedPlayer)
    kept = bundle_of(shown)
    assert LIVE not in kept
    assert is_png(kept["image/png"])
    assert "srcdoc" in kept["text/html"]
    assert "pip install anywidget" in kept["text/html"]
    assert "<script" not in kept["text/html"], "the frame's document is escaped"
    assert shown.token == 2


@pytest.mark.parametrize("token", [-1, 31])
def test_a_token_that_is_not_there(token):
    with pytest.raises(ValueError, match="expected 0 to 30"):
        show_player(NOISE, sample_rate=16_000, token=token)


def test_what_is_no_clip_is_refused():
    with pytest.raises(AudioError, match="sample rate"):
        show_player(NOISE)


def test_an_experiment_is_shown_under_its_own_hop(framed):
    found = resynthesise(NOISE, MelSettings(n_fft=800, hop_length=320, num_mels=16))
    kept = bundle_of(show_player(found, name="coarse"))
    assert "16 bins by 63 frames" in kept["text/plain"]


def test_words_are_escaped():
    assert "<script" not in still_bundle(b"", HOSTILE)["text/html"]


def draw(*, hop: int, window: int = 16, **others: int) -> tuple[Figure, str]:
    if hop > window:
        raise Q2AError("a hop longer than the window <leaves> gaps")
    figure = Figure(figsize=(1, 1))
    return figure, f"{hop} of {window}"


def test_knobs_draw_where_they_stand():
    knobs = Knobs(draw, hop=((1, 2, 8), 2), window=((4, 16), 4))
    assert knobs.values == {"hop": 2, "window": 4}
    assert "2 of 4" in knobs.shown.value
    knobs.sliders["window"].value = 16
    assert "2 of 16" in knobs.shown.value
    kept = bundle_of(knobs)
    assert kept["text/plain"] == "hop 2, window 16: 2 of 16"
    assert is_png(kept["image/png"])
    assert kept[LIVE]


def test_a_knob_has_a_name_and_follows_the_browser():
    pytest.importorskip("anywidget")
    knobs = Knobs(draw, hop=((1, 2, 8), 2), mel_bands=((4, 16), 4))
    knob = knobs.sliders["mel_bands"]
    state = knob.get_state()
    assert (state["name"], state["labels"], state["index"]) == ("mel bands", ["4", "16"], 0)
    assert 'setAttribute("aria-label", model.get("name"))' in state["_esm"]
    knob.set_state({"index": 1})  # as the browser sends it
    assert knobs.values["mel_bands"] == 16
    knob.value = 4
    assert knob.index == 0
    with pytest.raises(Exception, match=r"found 5; expected one of \(4, 16\)"):
        knob.value = 5
    assert (knob.value, knob.index) == (4, 0)


def test_without_anywidget_the_knobs_turn_as_well(framed):
    knobs = Knobs(draw, hop=((1, 2, 8), 2), window=((4, 16), 4))
    knobs.sliders["window"].value = 16
    assert "2 of 16" in knobs.shown.value


def test_a_refusal_is_a_sentence_and_the_picture_stays():
    knobs = Knobs(draw, hop=((1, 2, 8), 2), window=((4, 16), 4))
    knobs.sliders["hop"].value = 8
    assert "&lt;leaves&gt; gaps" in knobs.shown.value
    assert "data:image/png" in knobs.shown.value


def test_at_most_four_pictures_a_second_and_the_last_one_counts():
    async def drag() -> list[tuple[float, int]]:
        done: list[tuple[float, int]] = []
        state = {"value": 0}
        pace = Pace(lambda: done.append((time.monotonic(), state["value"])))
        until = time.monotonic() + 1.1
        while time.monotonic() < until:
            state["value"] += 1
            pace.ask()
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.4)
        assert done[-1][1] == state["value"]
        return done

    done = asyncio.run(drag())
    gaps = np.diff([moment for moment, _ in done])
    assert len(done) >= 3, "it keeps up"
    assert gaps.min() >= 0.24


def test_a_crash_in_a_picture_does_not_stop_the_next():
    calls = []

    def work() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("no")

    pace = Pace(work)
    with pytest.raises(RuntimeError):
        pace.ask()
    pace.ask()
    assert len(calls) == 2


def test_the_front_end_s_knobs_begin_at_the_model_s_settings():
    knobs = front_end_knobs(load_waveform(NOISE, sample_rate=16_000))
    assert knobs.values == {"window": 400, "hop": 160, "mel_bands": 128}
    assert "25 ms" in knobs.words
    assert "125 mel frames and 31 audio tokens" in knobs.words
    knobs.sliders["hop"].value = 640
    assert "leaves gaps" in knobs.words
    knobs.sliders["window"].value = 800
    assert "32 mel frames and 8 audio tokens" in knobs.words


@pytest.fixture
def recorder():
    pytest.importorskip("anywidget")
    from q2a_core.teaching.widgets.recorder import record_clip

    return record_clip()


def send(recorder, data: bytes, name: str) -> None:
    """As the browser sends it."""
    state = {"sent": memoryview(data), "sent_name": name, "sent_count": recorder.sent_count + 1}
    recorder.set_state(state)


def test_a_recording_becomes_a_waveform(recorder):
    assert recorder.waveform is None
    send(recorder, wav_bytes(NOISE), "your recording")
    np.testing.assert_allclose(recorder.waveform.samples, NOISE, atol=1 / 32_000)
    assert "your recording: 1.25 s" in recorder.said
    assert recorder.sent == b"", "the bytes are not kept in the widget's state"
    send(recorder, wav_bytes(NOISE[:8000]), "your recording")
    assert recorder.waveform.seconds == 0.5


@pytest.mark.parametrize("data", [b"", b"no sound at all", wav_bytes(NOISE)[:30]])
def test_a_file_that_is_no_sound_is_told_of_and_loses_nothing(recorder, data):
    send(recorder, wav_bytes(NOISE), "good.wav")
    send(recorder, data, f"../{HOSTILE}.wav")
    assert recorder.waveform.name == "good.wav"
    assert recorder.said.startswith("script>.wav: "), "it names the file, not its path"
    kept = bundle_of(recorder)
    assert "<script" not in kept["text/html"]


def test_a_clip_over_the_window_is_refused(recorder):
    send(recorder, wav_bytes(np.zeros(31 * 16_000, np.float32)), "long.wav")
    assert recorder.waveform is None
    assert "30" in recorder.said


def seen_as_two(hertz: float) -> float:
    """Share of places between two bins at which two equal tones, as many Hz apart, leave a dip in the spectrum."""
    import torch

    from q2a_core.audio.mel import power_spectrogram

    step, time, seen = 40.0, torch.arange(16_000) / 16_000, []
    for place in np.arange(0, 1, 0.125):
        low = (25 + place) * step
        power = torch.zeros(201)
        for phase in torch.arange(8) * torch.pi / 4:  # a beat looks otherwise from window to window
            tones = torch.sin(2 * torch.pi * low * time)
            tones = tones + torch.sin(2 * torch.pi * (low + hertz) * time + phase)
            power += power_spectrogram(tones, frames=90, window=16_000)[:, 5:85].mean(dim=1)
        ends = round(low / step), round((low + hertz) / step)
        between = power[ends[0] + 1 : ends[1]]
        seen.append(bool(len(between) and between.min() < min(power[ends[0]], power[ends[1]])))
    return sum(seen) / len(seen)


def test_the_front_end_tells_tones_apart_from_where_the_knobs_say():
    settings = MelSettings()
    rng = np.random.default_rng(0)
    _, words = draw_front_end(rng.normal(size=8000).astype(np.float32), settings)
    assert "in steps of 40 Hz and shows two equal tones as two from about 100 Hz apart" in words
    assert seen_as_two(40) == 0, "the step from bin to bin is no resolution"
    assert seen_as_two(60) == 0
    assert seen_as_two(100) > 0.5
    assert seen_as_two(140) == 1
