"""The page Attention, driven without a browser: what it says is what the core computed, and settings stay."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from q2a_core import paths
from q2a_core.audio import wav_bytes
from q2a_core.inference import AudioChat
from q2a_core.inspection.attention_views import busiest_range, one_map, overview
from q2a_core.inspection.case import open_case
from q2a_core.inspection.causes import causal_map, edit_effect
from q2a_core.inspection.edits import AUDIO_TOKENS, Site

WORKBENCH = Path(__file__).resolve().parents[2] / "workbench"
PAGE = WORKBENCH / "app_pages" / "attention.py"
QUESTION = "What is this *sound*?"


@pytest.fixture
def page(workbench) -> AppTest:
    """The page once its model is there."""
    page = AppTest.from_file(str(PAGE), default_timeout=60).run().run()
    load = page.session_state["session"].load()
    load.future.result(timeout=60)
    return page.run()


@pytest.fixture(scope="module")
def chat(workbench):
    return AudioChat.from_pretrained("mini")


@pytest.fixture(scope="module")
def case(workbench, chat):
    return open_case(chat, workbench / "clips" / "noise.wav", QUESTION, max_new_tokens=64)


def shown(page: AppTest) -> str:
    kinds = (page.title, page.caption, page.markdown, page.error, page.warning, page.info)
    text = "\n".join(element.value for kind in kinds for element in kind)
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).replace("\u2060", "").replace("−", "-")


def fine(page: AppTest) -> AppTest:
    assert not page.exception, page.exception
    assert not page.error, [error.value for error in page.error]
    return page


def pictures(page: AppTest) -> dict:
    """What the browser is given."""
    [element] = page.get("bidi_component")
    return json.loads(element.proto.bytes)


def look(page: AppTest):
    return page.session_state["session"].attention


def spot(page: AppTest):
    return page.session_state["session"].spot


def test_it_opens_without_torch(workbench):
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(WORKBENCH)!r})
from q2a_core import paths
paths.data_samples = lambda: Path({str(workbench)!r})
from streamlit.testing.v1 import AppTest
page = AppTest.from_file({str(PAGE)!r}, default_timeout=60).run()
assert not page.exception and not page.error
assert any(element.proto.component_name == 'q2a_attention' for element in page.get('bidi_component'))
assert any('appear under the log-mel' in caption.value for caption in page.caption)
print([name for name in ('torch', 'transformers', 'matplotlib', 'pandas') if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_maps_are_those_of_the_core(page, case):
    fine(page)
    sent = pictures(page)
    view = overview(case, "decoder")
    assert (sent["thumbs"]["layers"], sent["thumbs"]["heads"]) == (2, 4)
    np.testing.assert_allclose(sent["thumbs"]["entropy"], view.entropy, atol=1e-5)
    np.testing.assert_allclose(sent["thumbs"]["share"], view.share[:, 0, 0], atol=1e-6)
    assert sent["chosen"] == [1, -1], "the last layer, mean of heads"
    assert sent["map"]["labels"] == [word.text for word in case.words]
    assert sent["map"]["high"] == pytest.approx(one_map(case, "decoder", 1).max(), rel=1e-5)
    assert sent["cause"] is None
    bits = view.entropy[1, 0]
    assert f"{bits:.1f} of at most {np.log2(case.num_tokens):.1f} bits" in shown(page)
    assert f"{view.share[1, 0, 0]:.0%} of its attention is on the sound" in shown(page)


def test_the_check_is_the_cores(page, case):
    span = busiest_range(one_map(case, "decoder", 1).mean(axis=0), 5)
    assert look(page).spans[next(iter(look(page).spans))] == span
    expected = edit_effect(case, span, fill="mean", rng=np.random.default_rng(0))
    text = shown(page)
    assert f"**{expected.change:+.2f} nats**" in text
    assert f"the whole clip is worth {expected.whole_change:+.2f}" in text
    assert f"beside {len(expected.controls)} random ranges" in text
    for word in case.words:
        after = float(expected.after[word.first : word.stop].sum())
        assert f"{np.exp(after):.1%}" in text
    assert pictures(page)["range"] == list(span)


def test_knobs(page, case):
    page.selectbox(key="attention_fill").set_value("zero").run()
    site = Site(part="encoder", layer=1)
    page.selectbox(key="attention_site").set_value(site).run()
    page.segmented_control(key="attention_keep").set_value(True).run()
    page.slider[0].set_value((2, 6)).run()
    fine(page)
    expected = edit_effect(
        case, (2, 6), fill="zero", rng=np.random.default_rng(0), site=site, keep=True
    )
    assert f"brings back **{expected.change:+.2f} nats**" in shown(page)
    assert "With nothing but 0.08–0.24 s" in shown(page)
    assert " ".join(expected.reply.split()) in " ".join(shown(page).split())
    page.slider[0].set_value((3, 3)).run()
    assert "With nothing but 0.12–0.16 s" in shown(fine(page)), "a range holds one token at least"
    last = case.num_tokens
    page.slider[0].set_value((last, last)).run()
    assert f"{0.04 * last - 0.04:.2f}–{0.04 * last:.2f} s" in shown(fine(page))


def test_another_clip(page, case, chat, workbench):
    page.selectbox(key="attention_fill").set_value("other").run()
    page.selectbox(key="attention_donor").set_value("tone").run()
    fine(page)
    other = open_case(chat, workbench / "clips" / "tone.wav", None, max_new_tokens=64)
    expected = edit_effect(
        case,
        next(iter(look(page).spans.values())),
        fill="other",
        rng=np.random.default_rng(0),
        other=other,
    )
    assert f"**{expected.change:+.2f} nats**" in shown(page)
    page.selectbox(key="attention_donor").set_value("long").run()
    assert "hears 5 s at once" in page.error[0].value, "and the page goes on"
    assert pictures(page)["map"]


def test_every_layer_and_moment(page, case):
    page.button(key="attention_map").click().run()
    fine(page)
    expected = causal_map(case, fill="mean", rng=np.random.default_rng(0))
    cause = pictures(page)["cause"]
    assert cause["sites"] == ["encoder 1", "encoder 2", "audio tokens", "decoder 2"]
    assert cause["windows"] == [list(window) for window in expected.windows]
    assert cause["high"] == pytest.approx(max(np.abs(expected.of()).max(), 0.05), rel=1e-3)
    page.selectbox(key="attention_fill").set_value("noise").run()
    assert pictures(page)["cause"] == cause, "it stays as it was made, and says how"
    assert "the clip's mean" in cause["title"]
    word = case.words[1]
    look(page).rows[next(iter(look(page).spans)), "decoder"] = 1
    page.run()
    of_word = np.abs(expected.of(word.first, word.stop)).max()
    assert pictures(page)["cause"]["high"] == pytest.approx(max(of_word, 0.05), rel=1e-3)
    assert word.text in pictures(page)["cause"]["title"]


def test_the_encoder_and_one_head(page, case):
    page.segmented_control(key="attention_part").set_value("encoder").run()
    spot(page).layer, spot(page).head = 0, 2
    fine(page.run())
    sent = pictures(page)
    assert sent["map"]["followsSound"]
    assert sent["map"]["rows"] == sent["map"]["columns"] == case.num_tokens
    assert sent["chosen"] == [0, 2]
    assert sent["thumbs"]["share"] is None
    assert f"{overview(case, 'encoder').entropy[0, 3]:.1f} of at most" in shown(page)
    page.segmented_control(key="attention_part").set_value("decoder").run()
    assert pictures(page)["chosen"] == [1, -1], "each part keeps its own"
    page.segmented_control(key="attention_part").set_value("encoder").run()
    assert pictures(page)["chosen"] == [0, 2]


def test_a_link_shows_layer_head_and_token(workbench):
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    for name, value in {"clip": "tone", "layer": "0", "head": "3", "token": "7"}.items():
        page.query_params[name] = value
    page.run()
    assert pictures(page)["player"]["tokens"]["token"] == 7, "before the model is there"
    page.run().session_state["session"].load().future.result(timeout=60)
    sent = pictures(fine(page.run()))
    assert sent["chosen"] == [0, 3]
    assert sent["player"]["tokens"]["token"] == 7
    assert "decoder, layer 1, head 4" in sent["map"]["title"]
    spot(page).layer, spot(page).head = 1, None  # as a click on a small picture leaves it
    page.run()
    assert page.query_params["layer"] in ("1", ["1"])
    assert "head" not in page.query_params


class Held(dict):
    """As Streamlit's session state: by key and by attribute."""

    __getattr__ = dict.__getitem__


def test_clicks(page, monkeypatch):
    """The browser's messages, as Streamlit hands them to the callbacks."""
    import attention_maps

    sent, session = {}, page.session_state["session"]
    monkeypatch.setattr(
        attention_maps.st, "session_state", Held(attention_view=sent, session=session)
    )
    state, key = look(page), next(iter(look(page).spans))
    case = open_case(session.load().future.result(), *clip_of(page))
    on = attention_maps._clicks(session, case, key)

    def click(name, value):
        sent[name] = value
        on[name]()

    click("chosen", [0, 3])
    assert (session.spot.layer, session.spot.head) == (0, 3)
    click("chosen", [1, -1])
    assert (session.spot.layer, session.spot.head) == (1, None)
    click("row", 1)
    assert state.rows[key, "decoder"] == 1
    click("row", -1)
    assert (key, "decoder") not in state.rows
    click("row", 10_000)
    assert (key, "decoder") not in state.rows, "what does not exist is not locked"
    click("range", [1, 4])
    assert state.spans[key] == (1, 4)
    state.cause = (key, "", causal_map(case, fill="zero", rng=np.random.default_rng(0)))
    click("cell", [0, 2])
    assert state.site == session.settings["attention_site"].value == Site(part="encoder", layer=0)
    assert state.spans[key] == (6, 9)
    click("range", [3, 10_000])
    assert state.spans[key] == (3, case.num_tokens), "a longer clip's picture may have been meant"
    state.cause = ("another clip", *state.cause[1:])
    click("cell", [0, 0])
    assert state.spans[key] == (3, case.num_tokens)


def clip_of(page):
    return paths.data_samples() / "clips" / "noise.wav", QUESTION


def test_settings_survive_other_clips_and_pages(page):
    page.selectbox(key="attention_fill").set_value("noise").run()
    page.slider[0].set_value((1, 3)).run()
    page.text_input[0].set_value("And what is this?").run()
    page.slider[0].set_value((2, 4)).run()
    page.selectbox(key="sample").set_value("tone").run()
    fine(page)
    assert page.text_input[0].value == "", "a clip that speaks for itself has no question"
    assert page.selectbox(key="attention_fill").value == "noise"
    page.selectbox(key="sample").set_value("noise").run()
    assert page.text_input[0].value == "And what is this?"
    assert page.slider[0].value == (2, 4)
    # another page draws none of these widgets: Streamlit forgets them, the session does not
    again = AppTest.from_file(str(PAGE), default_timeout=60)
    again.session_state["session"] = page.session_state["session"]
    again.run()
    assert again.selectbox(key="attention_fill").value == "noise"
    assert again.text_input[0].value == "And what is this?"
    assert again.slider[0].value == (2, 4)


def test_clips_that_do_not_fit(page):
    page.selectbox(key="sample").set_value("long").run()
    assert "hears 5 s at once" in page.error[0].value
    assert pictures(page)["map"] is None
    page.segmented_control(key="clip_source").set_value("Upload").run()
    assert page.text_input[0].disabled
    silence = wav_bytes(np.zeros(31 * 16_000, np.float32))
    page.file_uploader(key="upload").set_value(("silence.wav", silence, "audio/wav")).run()
    fine(page)
    assert "lasts 31 s" in shown(page)
    page.file_uploader(key="upload").set_value(("x.wav", b"RIFF", "audio/wav")).run()
    assert len(page.error) == 1


@pytest.mark.parametrize("samples", [321, 16_000])
def test_silence_and_one_token(page, samples):
    page.segmented_control(key="clip_source").set_value("Upload").run()
    data = wav_bytes(np.zeros(samples, np.float32))
    page.file_uploader(key="upload").set_value(("silence.wav", data, "audio/wav")).run()
    fine(page)
    assert not re.search(r"[-−]0\.0+\b", shown(page)), "no minus before zero"
    if samples == 321:
        assert "No other range of this width" in shown(page)
        assert "of the clip's 1 token, as it were: 0.0 of at most 0.0 bits" in shown(page)
    for part in ("encoder", "decoder"):
        page.segmented_control(key="attention_part").set_value(part).run()
        page.button(key="attention_map").click().run()
        fine(page)
        assert pictures(page)["cause"]["windows"][-1][1] == max(samples // 640, 1)


def test_a_knob_answers_quickly(page):
    page.selectbox(key="attention_fill").set_value("zero").run()
    start = time.process_time()
    page.slider[0].set_value((1, 5)).run()
    assert time.process_time() - start < 2, "seconds of work here would be seconds on the page"


def test_app_knows_the_page(workbench):
    page = AppTest.from_file(str(WORKBENCH / "app.py"), default_timeout=60).run()
    fine(page)
    page.switch_page("app_pages/attention.py").run()
    fine(page)
    assert page.title[0].value == "Attention"


def test_edits_begin_at_the_audio_tokens(page):
    assert look(page).site == AUDIO_TOKENS
