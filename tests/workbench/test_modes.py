"""The page Modes, driven without a browser: four ways to ask, the meter, the probe and the push."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from q2a_core.audio import load_waveform, wav_bytes
from q2a_core.errors import SpeechError
from q2a_core.inference import AudioChat
from q2a_core.inspection import mode_scenes, modes
from q2a_core.inspection.listening import is_listening
from q2a_core.inspection.mode_probe import mode_probe
from q2a_core.inspection.wording import signed

WORKBENCH = Path(__file__).resolve().parents[2] / "workbench"
PAGE = WORKBENCH / "app_pages" / "modes.py"
EXAMPLES = 20


@pytest.fixture(scope="module", autouse=True)
def _small(workbench):
    """A voice without an engine, and a probe of few clips."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mode_scenes, "probe_book", no_engine)
        patch.setattr(modes, "speak_question", spoken)
        import modes_state

        patch.setattr(modes_state, "EXAMPLES", EXAMPLES)
        patch.setattr(modes_state, "HELD_OUT", 8)
        patch.setattr(modes_state, "STRENGTHS", (0.0, 1.0))
        yield


def no_engine(on_progress=None):
    raise SpeechError("no speech engine here; install one")


def spoken(words: str, *, voice: str = "a woman"):
    """A tone whose pitch follows from words and voice."""
    if not words.split():
        raise SpeechError("there are no words to say")
    pitch = 200 + sum(map(ord, words + voice)) % 400
    tone = 0.3 * np.sin(2 * np.pi * pitch * np.arange(8000) / 16_000)
    return load_waveform(tone.astype(np.float32), sample_rate=16_000)


@pytest.fixture(scope="module")
def chat(workbench) -> AudioChat:
    return AudioChat.from_pretrained("mini")


@pytest.fixture
def page(workbench) -> AppTest:
    return ready(AppTest.from_file(str(PAGE), default_timeout=60).run())


def ready(page: AppTest) -> AppTest:
    """The page once the model has loaded; a browser would look again by itself."""
    import model_state

    page.session_state["session"].has_painted = True
    model_state.load_model("mini").future.result(timeout=60)
    return page.run()


def shown(page: AppTest) -> str:
    kinds = (page.title, page.caption, page.markdown, page.error, page.warning, page.header)
    text = "\n".join(element.value for kind in kinds for element in (*kind, *page.info))
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).replace("\u2060", "")


def pictures(page: AppTest) -> list[str]:
    return [element.proto.body for element in page.get("html")]


def drawings(page: AppTest) -> list[str]:
    """SVG as the browser gets it."""
    mounted = [element.proto for element in page.get("bidi_component")]
    return [proto.bytes.decode() for proto in mounted if proto.component_name == "q2a_svg"]


def errors(page: AppTest) -> list[str]:
    assert not page.exception, page.exception
    return [error.value for error in page.error]


def text_of(html: str) -> str:
    """The tokens of a picture of tokens."""
    pieces = re.findall(r'">([^<]*)<br>', html)
    return "".join("" if piece == "…" else piece for piece in pieces).replace("⏎", "\n")


def finished(page: AppTest, job) -> AppTest:
    job.future.exception(timeout=120)
    return page.run()


def test_the_four_replies_are_those_of_the_chat(page, chat, workbench):
    assert not errors(page)
    clip = load_waveform(workbench / "clips" / "noise.wav")
    turns = modes.mode_turns(
        clip, text="What is this sound?", question=spoken("what is this sound")
    )
    replies = [modes.answer_turn(chat, turn) for turn in turns]
    drawn = [html for html in pictures(page) if 'aria-label="reply in' in html]
    assert len(drawn) == 4
    asked = [turn.name for turn in turns if turn.question]
    sounds = [each.proto.alt for each in page.get("audio")]
    assert sounds == [f"what the model hears in {name}" for name in asked]
    import html as entities

    for picture, done in zip(drawn, replies, strict=True):
        text = entities.unescape(text_of(picture))
        assert "".join(text.split()) == "".join(done.reply.text.split())
        assert picture.count("<small") == len(done.reply.logps)
        assert f"{np.exp(done.reply.logps[0]):.0%}" in picture
    assert f"confidence {replies[0].reply.confidence:.0%}" in shown(page)


def test_the_meter_shows_what_the_core_computes(page, chat, workbench):
    reply = chat.fork().ask(workbench / "clips" / "noise.wav", temperature=0.0)
    expected = is_listening(
        chat,
        load_waveform(workbench / "clips" / "noise.wav"),
        None,
        reply.token_ids,
        other=load_waveform(workbench / "clips" / "tone.wav"),
        rng=np.random.default_rng(0),
    )
    [table] = [html for html in pictures(page) if "<table" in html]
    for heard in expected.heard:
        assert heard.condition in table
        assert f"{heard.mean:.2f}" in table
    assert f"{signed(expected.gain)} nats" in shown(page)
    page.segmented_control(key="modes_scored").set_value("mixed").run()
    assert not errors(page)
    [other] = [html for html in pictures(page) if "<table" in html]
    assert other != table


def test_knobs_change_what_they_name(page, chat, workbench):
    page.text_input(key="modes_text").set_value("Is it *loud*?").run()
    assert "“Is it *loud*?”" in shown(page)
    before = pictures(page)
    page.selectbox(key="modes_voice").set_value("a man").run()
    page.selectbox(key="modes_order").set_value("before the clip").run()
    assert "the question, then the clip" in shown(page)
    assert not errors(page)
    assert pictures(page)[:2] == before[:2], "voice chat and analysis hear no question"


def test_settings_come_back_after_another_page(page):
    page.text_input(key="modes_text").set_value("Kept?").run()
    page.selectbox(key="modes_voice").set_value("a man").run()
    back = AppTest.from_file(str(PAGE), default_timeout=60)
    back.session_state["session"] = page.session_state["session"]  # widgets are forgotten
    back.run()
    assert back.text_input(key="modes_text").value == "Kept?"
    assert back.selectbox(key="modes_voice").value == "a man"


def test_no_words_and_no_recording_leave_two_modes(page):
    page.text_input(key="modes_words").set_value("  ").run()
    assert not errors(page)
    assert "no words to say" in shown(page)
    assert len([html for html in pictures(page) if "reply in" in html]) == 2
    page.selectbox(key="modes_voice").set_value("my own").run()
    assert "Record a question first" in shown(page)
    recording = ("question.wav", wav_bytes(spoken("mine").samples), "audio/wav")
    page.get("audio_input")[0].set_value(recording).run()
    assert not errors(page)
    assert len([html for html in pictures(page) if "reply in" in html]) == 4
    back = AppTest.from_file(str(PAGE), default_timeout=60)
    back.session_state["session"] = page.session_state["session"]  # its widget is forgotten
    back.run()
    assert "Using **your question**" in shown(back)
    assert len([html for html in pictures(back) if "reply in" in html]) == 4
    back.button(key="remove_modes_recording").click().run()
    assert "Record a question first" in shown(back)


def test_the_probe_runs_once_and_the_push_follows_it(page, chat):
    import model_state
    import modes_state

    page.segmented_control(key="modes_task").set_value("text").run()
    assert "Run the probe first" in shown(page)
    page.button(key="run_probe").click().run()
    load = model_state.load_model("mini")
    job = modes_state.probe_job(load, "text")
    finished(page, job)
    assert not errors(page)
    probe = mode_probe(chat, mode_scenes.MODE_TASKS["text"], examples=EXAMPLES, book=None)
    text = shown(page)
    best = probe.best.accuracy
    assert f"{best.value:.0%} ({best.low:.0%} to {best.high:.0%})" in text
    assert f"mini {chat.checkpoint.hash} · {EXAMPLES} clips, seed 0" in text
    assert "sounds only" in text, "what the missing engine changes is said"
    assert not [html for html in pictures(page) if "<svg" in html], "st.html would drop it"
    [chart] = drawings(page)
    assert chart.count("<circle") == len(probe.layers)
    assert modes_state.probe_job(load, "text") is job
    unpushed = [html for html in pictures(page) if "without a push" in html]
    assert len(unpushed) == 1
    page.slider(key="modes_strength").set_value(0.0).run()
    drawn = [h for h in pictures(page) if re.search('label="(Between|A random|reply without)', h)]
    assert len(drawn) == 3
    assert len({text_of(html) for html in drawn}) == 1, "no strength, no change"
    page.button(key="measure").click().run()
    finished(page, modes_state.effects_job(load, job.future.result(), page_layer(page), "means"))
    assert not errors(page)
    assert "| strength | turned |" in shown(page)
    assert "8 clips that the probe never saw" in shown(page)


def page_layer(page: AppTest) -> int:
    from modes_state import ModesSettings

    return page.session_state["session"].of(ModesSettings).layer


def test_without_an_engine_a_spoken_task_says_so_and_can_be_tried_again(page):
    import model_state
    import modes_state

    page.segmented_control(key="modes_task").set_value("question").run()
    page.button(key="run_probe").click().run()
    job = modes_state.probe_job(model_state.load_model("mini"), "question")
    finished(page, job)
    assert errors(page) == [r"no speech engine here\; install one"]
    page.button(key="retry_probe").click().run()
    assert modes_state.probe_job(model_state.load_model("mini"), "question") is not job


def test_too_long_a_clip_is_refused_with_the_switch_that_mends_it(page):
    page.selectbox(key="sample").set_value("long").run()
    refused = [error for error in errors(page) if "hears 5 s at once" in error]
    assert len(refused) == 2, "what holds a spoken question is cut without being asked"
    switch = page.toggle(key="split")
    assert all(switch.label in error for error in refused)
    assert not [error for error in refused if "split=" in error]
    switch.set_value(True).run()
    assert not [error for error in errors(page) if "hears" in error]
    assert len([html for html in pictures(page) if "reply in" in html]) == 4
    other = AppTest.from_file(str(PAGE), default_timeout=60)
    other.session_state["session"] = page.session_state["session"]  # as on another page
    assert other.run().toggle(key="split").value
    page.selectbox(key="sample").set_value("tone").run()
    assert not [error for error in errors(page) if "hears" in error]
    assert len([html for html in pictures(page) if "reply in" in html]) == 4


def test_two_tabs_keep_their_own_settings(page):
    other = ready(AppTest.from_file(str(PAGE), default_timeout=60).run())
    page.text_input(key="modes_text").set_value("Mine?").run()
    other.text_input(key="modes_text").set_value("Yours?").run()
    assert "Yours?" not in shown(page.run())
    assert "Mine?" not in shown(other.run())


def test_the_page_opens_before_torch(workbench):
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(WORKBENCH)!r})
from q2a_core import paths
paths.data_samples = lambda: Path({str(workbench)!r})
from streamlit.testing.v1 import AppTest
page = AppTest.from_file({str(PAGE)!r}, default_timeout=60).run()
assert not page.exception and not page.error
assert page.title[0].value == "Modes"
assert any("goes in four times" in caption.value for caption in page.caption)
print([name for name in ('torch', 'transformers', 'librosa', 'matplotlib', 'scipy') if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_pictures_escape_and_say_their_values():
    import modes_html

    html = modes_html.tokens_html(["<b>", " ok\n", ""], [-0.1, -9.0, -0.5], label='a"b')
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert 'aria-label="a&quot;b"' in html
    assert "90%" in html
    assert "0.70" in html, "the colour has an end"
    assert "⏎" in html
    assert "empty reply" in modes_html.tokens_html([], [], label="x")
