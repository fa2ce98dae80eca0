"""The page Scoreboard, driven without a browser: tables, examples with a humming test book, the judge, the timings."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from q2a_core import paths
from q2a_core.errors import SpeechError
from q2a_core.evaluation import browse
from q2a_core.world.judge import judge

WORKBENCH = Path(__file__).resolve().parents[2] / "workbench"
PATIENCE = 240  # seconds; nothing here is a matter of speed
SUITE = "everyday sound"


class Hummed:
    """A test book whose speakers hum."""

    hash = "hummed" * 4

    def __init__(self) -> None:
        self.utterances = browse.planned()

    def __getitem__(self, index):
        return self.utterances[index], (8000 * np.sin(np.arange(9000) * 0.1)).astype(np.int16)


def report(name: str) -> dict:
    """The first two examples of a suite, one answered right; a figure and its control."""
    asked = browse.questions(SUITE, 2, browse.planned())
    said = [asked[0].truth, "[a link](http://far.example) is no sound"]
    figure = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 80}
    return {
        "checkpoint": {"name": name, "hash": "abc"},
        "conditions": {"book": "b1", "decoding": "greedy"},
        "rows": [
            {
                "suite": "recognition",
                "metric": "WER",
                "seed": 201,
                "score": figure,
                "control": {**figure, "value": 1.25},
            }
        ],
        "examples": [
            {
                "suite": SUITE,
                "clip": each.scene.index,
                "question": each.text,
                "true": each.truth,
                "reply": reply,
            }
            for each, reply in zip(asked, said, strict=True)
        ],
    }


@pytest.fixture(scope="module", autouse=True)
def _report(workbench):
    path = workbench / "checkpoints" / "mini" / "results.json"
    path.write_text(json.dumps(report("mini")), "utf-8")
    yield
    path.unlink()


@pytest.fixture
def speech(workbench, monkeypatch):
    """The spoken book's file, with the speakers replaced; nothing is spoken before it is asked for."""
    import spoken_book

    st.cache_resource.clear()
    monkeypatch.setattr(spoken_book, "_is_spoken", lambda: False)
    monkeypatch.setattr(spoken_book, "open_or_build", lambda *_, **__: Hummed())
    return spoken_book


@pytest.fixture
def page(workbench) -> AppTest:
    script = str(WORKBENCH / "app_pages" / "scoreboard.py")
    return AppTest.from_file(script, default_timeout=PATIENCE).run()


def shown(page: AppTest) -> str:
    assert not page.exception, page.exception
    kinds = (page.title, page.caption, page.markdown, page.info, page.warning, page.error)
    text = "\n".join(element.value for kind in kinds for element in kind)
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).replace("\u2060", "")


def html(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def view(page: AppTest, name: str) -> AppTest:
    return page.segmented_control(key="scoreboard_part").set_value(name).run()


def examples(page: AppTest) -> AppTest:
    view(page, "Example by example")
    return page.selectbox(key="example_suite").set_value(SUITE).run()


def spoken(page: AppTest, speech) -> AppTest:
    page.button(key="speak_book").click().run()
    speech.current().future.result()
    session = page.session_state["session"]
    session.has_painted = True
    session.load().future.result()
    return page.run()


def test_it_opens_without_torch(workbench):
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(WORKBENCH)!r})
from q2a_core import paths
paths.data_samples = lambda: Path({str(workbench)!r})
from streamlit.testing.v1 import AppTest
page = AppTest.from_file({str(WORKBENCH / "app_pages" / "scoreboard.py")!r}, default_timeout={PATIENCE}).run()
assert not page.exception and not page.error
print([name for name in ('torch', 'transformers', 'matplotlib') if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_figures_stand_with_interval_control_and_paper(page):
    drawn = html(page)
    assert "50.0% (40.0% to 60.0%) · ○ 125.0%" in drawn
    assert "lower is better, 0 to 100.0%" in drawn
    assert "○ 125.0% →" in drawn, "worse than the axis tells"
    assert max(map(float, re.findall(r"left:([\d.]+)%", drawn))) <= 100
    assert '<span class="q2a-mark" style="left:50.0%">●</span>' in drawn
    assert 'style="left:40.0%;width:20.0%"' in drawn
    page.toggle(key="scoreboard_as_table").set_value(True).run()
    text = shown(page)
    assert "| **50.0%** (40.0% to 60.0%), swapped 125.0%, n 80 |" in text
    assert "LibriSpeech test-clean (WER) | 1.6% | 1.7% |" in text
    assert "paper: Qwen2-Audio" in text
    assert "~~6.08~~ 5.38" in page_markdown(page), "a misprint of the paper's whole table"
    assert "mini" in text
    assert "decoding: greedy" in text


def page_markdown(page: AppTest) -> str:
    return "\n".join(element.value for element in page.markdown)


def test_a_wrong_reply_is_found_judged_and_shown_as_text(page, speech):
    view(page, "Example by example")
    box = page.selectbox(key="wrong_one")
    assert box.label.startswith("1 of 2 recorded examples")
    box.set_value(0).run()
    assert page.selectbox(key="example_suite").value == SUITE
    assert page.number_input(key="example_number").value == 2
    text = shown(page)
    assert "“[a link](http://far.example) is no sound”" in text
    assert "](http" not in page_markdown(page), "a reply is no link"
    asked = browse.question(SUITE, 1, browse.planned())
    verdict = judge(asked.scene, asked.task, "[a link](http://far.example) is no sound")
    assert f"wrong, {verdict.score:g} of 10 points: {'; '.join(verdict.reasons)}" in text
    assert f"A right answer: “{asked.truth}”" in text
    page.number_input(key="example_number").set_value(1).run()
    assert "right, 10 of 10 points" in shown(page)
    page.number_input(key="example_number").set_value(3).run()
    assert "No report recorded this example" in shown(page)


def test_the_clip_is_heard_asked_and_taken_along(page, speech):
    examples(page)
    assert not page.get("audio")
    spoken(page, speech)
    assert page.get("audio")
    text = shown(page)
    from q2a_core import AudioChat

    chat = AudioChat.from_pretrained("mini")
    asked = browse.question(SUITE, 0, browse.planned())
    item = browse.hear(asked, Hummed())
    said = browse.ask_live(asked, item, chat.checkpoint, chat.model)
    assert " ".join(said.reply.split()) in " ".join(text.split())
    assert "live" in text
    page.button(key="take_clip").click().run()
    assert page.segmented_control(key="clip_source").value == "Upload"
    file = page.session_state["session"].files["upload"]
    assert file.name == f"{SUITE} 1.wav"


def test_without_the_engine_it_says_so_and_reads_on(page, speech, monkeypatch):
    def refuse(*_, **__):
        raise SpeechError("speech needs the package espeakng-loader, which is not installed")

    monkeypatch.setattr(speech, "open_or_build", refuse)
    examples(page)
    page.button(key="speak_book").click().run()
    speech.current().future.exception()
    page.run()
    text = shown(page)
    assert "speech needs the package espeakng-loader" in text
    assert "A right answer" in text
    monkeypatch.setattr(speech, "open_or_build", lambda *_, **__: Hummed())
    page.button(key="speak_again").click().run()
    speech.current().future.result()
    assert page.run().get("audio")


def test_timings_are_shown_or_the_command_that_makes_them(page, workbench):
    view(page, "Speed")
    assert any("q2a bench --output data_samples/bench.json" in code.value for code in page.code)
    path = workbench / "bench.json"
    large = {"large": {"not_measured": "needs a <b>GPU</b>"}}
    path.write_text(json.dumps(large), "utf-8")
    try:
        page.run()
        assert "Not measured; it needs a <b>GPU</b>." in shown(page)
        path.write_text("{", "utf-8")
        page.run()
        assert "bench.json is no report of `q2a bench`" in shown(page)
    finally:
        path.unlink()


def test_an_empty_house_says_what_to_do(page, workbench, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "data_samples", lambda: tmp_path)
    page.run()
    assert "q2a eval --suite mini --output results.json" in shown(page)
    view(page, "Example by example")
    assert "every example can still be asked live" in shown(page)
