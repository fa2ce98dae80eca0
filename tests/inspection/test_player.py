"""The player's data and its self-contained document; `tests/workbench/test_browser.py` runs its script."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from q2a_core import lengths
from q2a_core.audio import load_waveform
from q2a_core.audio.mel import log_mel
from q2a_core.inspection import NotebookPlayer, player_data, player_html, view_clip
from q2a_core.inspection.front_end import MelSettings, view_under
from q2a_core.inspection.player import describe_view, player_css, player_js

HOSTILE_NAME = "</script><img src=x onerror=alert(1)>\"'.wav"


@pytest.fixture(scope="module")
def shown():
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 20_000).astype(np.float32)
    waveform = load_waveform(samples, sample_rate=16_000)
    return view_clip(waveform), waveform.samples


def test_data_is_json_and_decodes_to_the_clip(shown):
    view, samples = shown
    data = json.loads(json.dumps(player_data(view, samples, name="a.wav")))
    pcm = np.frombuffer(base64.b64decode(data["pcm"]), "<i2")
    assert np.abs(pcm / 32768 - samples).max() <= 0.5 / 32768
    mel = np.frombuffer(base64.b64decode(data["mel"]["values"]), np.uint8)
    assert (mel.reshape(data["mel"]["bins"], data["mel"]["frames"]) == view.mel).all()
    assert data["tokens"]["count"] == view.audio_tokens
    assert (data["tokens"]["seconds"], data["mel"]["frameSeconds"]) == (0.04, 0.01)
    assert data["tokens"]["token"] is None


@pytest.mark.parametrize("factor", [1e-4, 4.16])
def test_a_clip_that_16_bits_would_change_is_shown_as_it_is(shown, factor):
    samples = shown[1] * np.float32(factor / np.abs(shown[1]).max())
    view = view_clip(load_waveform(samples, sample_rate=16_000))
    data = player_data(view, samples, name="a.wav")
    values = np.frombuffer(base64.b64decode(data["pcm"]), "<i2") / 32768 * data["fullScale"]
    assert np.abs(values - samples).max() <= factor / 32768
    edges = np.frombuffer(base64.b64decode(data["envelope"]), "<i2") / 32768 * data["fullScale"]
    assert np.abs(edges).max() == view.peak == pytest.approx(factor, rel=1e-4)
    words = describe_view(view, name="a.wav")
    assert f"loudest sample {factor:g} of full scale" in words.replace("e-05", "e-5")
    assert ("played 4.16 times softer" in words) == (factor > 1)
    louder = replace(view, full_scale=2 * view.full_scale)
    assert player_data(louder, 2 * samples, name="a.wav")["id"] != data["id"]


def test_a_token_s_three_widths_are_those_of_the_arithmetic(shown):
    """40 ms of stride, 85 ms of receptive field from 32.5 ms before it, and the clip."""
    view, samples = shown
    data = player_data(view, samples, name="a.wav", token=3)
    assert data["tokens"]["field"] == (-0.0325, 0.0525)
    assert data["mel"]["field"] == (-0.0125, 0.0125)
    assert data["windows"] == [(0, view.seconds)]
    assert data["tokens"]["token"] == 3
    start, stop = lengths.token_receptive_field(3)
    begin, end = (3 * 0.04 + offset for offset in data["tokens"]["field"])
    assert (begin, end) == pytest.approx((start / 16_000, stop / 16_000))


def test_through_attention_the_first_token_knows_the_end_of_the_clip(tiny_model):
    clip = np.random.default_rng(0).uniform(-0.3, 0.3, lengths.SAMPLE_RATE).astype(np.float32)
    other = clip.copy()
    other[-400:] *= 0.5
    mels = [log_mel(samples, max_frames=500) for samples in (clip, other)]
    frames = torch.tensor([100])
    before, after = (tiny_model.encode_audio(mel[None], frames)[0] for mel in mels)
    assert (mels[0][:, :7] == mels[1][:, :7]).all(), "its receptive field is the same"
    assert not torch.equal(before, after)


@pytest.mark.parametrize(
    ("seconds", "windows"),
    [
        (30, [(0, 30)]),
        (30.01, [(0, 479_839 / 16_000), (479_839 / 16_000, 30.01)]),  # the rest is one token
        (61, [(0, 30), (30, 60), (60, 61)]),
    ],
)
def test_a_long_clip_has_a_context_for_each_window(shown, seconds, windows):
    view = replace(shown[0], samples=round(seconds * lengths.SAMPLE_RATE))
    data = player_data(view, np.zeros(view.samples, np.float32), name="a")
    assert data["windows"] == windows


def test_an_experiment_s_hop_and_window_are_followed(shown):
    view = replace(shown[0], hop_length=320, n_fft=800)
    data = player_data(view, shown[1], name="a")
    assert (data["tokens"]["seconds"], data["mel"]["frameSeconds"]) == (0.08, 0.02)
    assert data["tokens"]["count"] == lengths.audio_tokens(-(-view.samples // 320))
    assert data["tokens"]["field"] == ((-640 - 400) / 16_000, (4 * 320 + 400) / 16_000)


def test_id_names_sound_and_name(shown):
    view, samples = shown
    ids = {
        player_data(view, values, name=name)["id"]
        for values in (samples, -samples)
        for name in ("a", "b")
    }
    assert len(ids) == 4
    assert player_data(view, samples, name="a")["id"] in ids
    other = replace(view, mel=255 - view.mel)
    assert player_data(other, samples, name="a")["id"] not in ids, "an experiment on the same sound"


def test_experiments_on_silence_have_ids_of_their_own():
    silence = np.zeros(16_000, np.float32)
    settings = [
        MelSettings(num_mels=64),
        MelSettings(num_mels=128, hop_length=320),
        MelSettings(num_mels=128, hop_length=320, n_fft=800),
    ]
    views = [view_under(silence, one) for one in settings]
    assert len({player_data(view, silence, name="a")["id"] for view in views}) == 3


def test_pictures_have_words(shown):
    view, samples = shown
    words = describe_view(view, name="a.wav")
    assert "1.25 seconds" in words
    assert f"{view.audio_tokens} audio tokens" in words
    assert player_data(view, samples, name="a.wav")["summary"] == words


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_document_holds_a_hostile_name_as_text(shown):
    parser = Tags()
    parser.feed(player_html(*shown, name=HOSTILE_NAME))
    tags = [tag for tag, _ in parser.found]
    assert "img" not in tags
    assert tags.count("script") == 1
    assert not any("src" in attributes or "href" in attributes for _, attributes in parser.found)


def test_notebook_frame_is_sandboxed_and_whole(shown):
    parser = Tags()
    parser.feed(NotebookPlayer(*shown, name=HOSTILE_NAME)._repr_html_())
    [(tag, attributes)] = parser.found
    assert tag == "iframe"
    assert attributes["sandbox"] == "allow-scripts"
    assert attributes["srcdoc"] == player_html(*shown, name=HOSTILE_NAME)


def test_player_asks_nobody():
    for text in (player_js(), player_css()):
        assert not re.search(r"https?:|//\w+\.|@import|fetch\(|XMLHttpRequest|import\(", text)


def test_colours_are_those_of_magma():
    matplotlib = pytest.importorskip("matplotlib")
    listed = re.search(r"const MAGMA = \((.*?)\)\.split", player_js(), re.S)
    assert listed
    stops = re.findall(r"[0-9a-f]{6}", listed[1])
    magma = matplotlib.colormaps["magma"]
    expected = [
        matplotlib.colors.to_hex(magma(k / (len(stops) - 1)))[1:] for k in range(len(stops))
    ]
    assert stops == expected
