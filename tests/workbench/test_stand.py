"""The workbench as a public stand: what strangers find, and what they cannot do."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from q2a_core.audio import wav_bytes
from q2a_core.training.runs import background, folders
from q2a_core.training.runs.runlog import RunLog

WORKBENCH = Path(__file__).resolve().parents[2] / "workbench"


@pytest.fixture(autouse=True)
def _stand(workbench, monkeypatch, tmp_path):
    import stand

    monkeypatch.setenv("Q2A_DEMO", "1")
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))
    stand._seen().clear()


def opened(name: str) -> AppTest:
    return AppTest.from_file(str(WORKBENCH / "app_pages" / f"{name}.py"), default_timeout=60).run()


def shown(page: AppTest) -> str:
    assert not page.exception, page.exception
    kinds = (page.caption, page.markdown, page.error, page.info, page.warning)
    text = "\n".join(element.value for kind in kinds for element in kind)
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).replace("\u2060", "")


def test_every_page_says_what_a_stand_is():
    assert "at most 5 MB and 30 s" in shown(opened("listen"))


def test_only_shipped_checkpoints_can_be_chosen(monkeypatch):
    assert opened("listen").selectbox(key="checkpoint").options == ["mini"]
    monkeypatch.setenv("Q2A_DEMO", "0")
    page = opened("listen")
    assert len(page.selectbox(key="checkpoint").options) == 2
    assert "public stand" not in shown(page)


@pytest.mark.parametrize("name", ["train", "preferences"])
def test_nothing_is_trained_and_no_run_is_shown(name, tmp_path, monkeypatch):
    run = folders.run_folder("dpo-1")
    (run / "pairs").mkdir(parents=True)
    (run / "config.json").write_text('{"name": "dpo", "steps": 5}', "utf-8")

    def never(*_, **__):
        raise AssertionError("a stand starts nothing")

    monkeypatch.setattr(background, "launch", never)
    page = opened(name)
    text = shown(page)
    assert "nothing is trained here" in text
    assert "dpo-1" not in text + repr([box.options for box in page.selectbox])
    assert not {"start", "resume", "stop", "train_dpo"} & {button.key for button in page.button}


def test_the_recorded_run_stands_in_its_place(workbench):
    about = workbench / "checkpoints" / "mini" / "about.json"
    before = about.read_text("utf-8")
    log = about.parent / "training" / "log.jsonl"
    assert "is recorded here yet" in shown(opened("train"))
    try:
        about.write_text('{"stage": "sft"}', "utf-8")
        log.parent.mkdir()
        writer = RunLog(log)
        writer.write("run", step=0, stage={"name": "sft"})
        for step in (10, 20, 30):
            writer.write("step", step=step, loss=3.0 / step)
        writer.write("sample", step=30, task="count", clip=1, said="two", true="two")
        page = opened("train")
    finally:
        log.unlink()
        log.parent.rmdir()
        about.write_text(before, "utf-8")
    text = shown(page)
    assert "after step 30: 0.1" in text
    assert "step 30: “two”" in text
    assert page.get("vega_lite_chart") or page.get("arrow_vega_lite_chart")


def test_the_owners_runs_are_no_checkpoints(monkeypatch):
    import stage_panel

    monkeypatch.setattr(stage_panel, "own_checkpoints", lambda: {"sft-1": Path("x")})
    assert list(stage_panel.known_checkpoints()) == ["mini"]
    monkeypatch.setenv("Q2A_DEMO", "0")
    assert "run sft-1" in stage_panel.known_checkpoints()


def test_a_long_clip_is_refused_in_a_sentence():
    page = opened("listen")
    page.segmented_control(key="clip_source").set_value("Upload").run()
    clip = wav_bytes(np.zeros(31 * 16_000, np.float32))
    page.file_uploader(key="upload").set_value(("long.wav", clip, "audio/wav")).run()
    [error] = page.error
    assert "31" in error.value
    assert "30" in error.value


def test_visitors_are_let_in_as_long_as_there_is_a_place(monkeypatch):
    import stand

    open_tabs = {"a", "b", "c", "d"}
    monkeypatch.setattr(stand, "VISITORS", 3)
    monkeypatch.setattr(stand, "_is_open", lambda visitor: visitor in open_tabs)
    assert all(stand._has_place(name, now=0.0) for name in "abc")
    assert not stand._has_place("d", now=1.0)
    assert stand._has_place("a", now=2.0), "who is in stays in"
    open_tabs.remove("b")
    assert stand._has_place("d", now=3.0), "a closed tab frees its place"
    open_tabs.add("b")
    assert not stand._has_place("b", now=4.0)
    assert stand._has_place("b", now=stand.IDLE_SECONDS), "c did nothing for ten minutes"
    assert not stand._has_place("c", now=stand.IDLE_SECONDS + 1.0)


def _chat():
    import chat_panel
    import state

    chat_panel.chat(state.session(), None)


def _knob():
    import streamlit as st

    from settings import kept

    kept(st.toggle, "A knob", key="knob", default=False)


@pytest.mark.parametrize("part", [_chat, _knob], ids=["chat", "knob"])
def test_who_uses_a_part_of_the_page_is_not_idle(monkeypatch, part):
    import stand

    monkeypatch.setattr(stand, "_visitor", lambda: "me")
    AppTest.from_function(part).run()
    assert not stand._seen(), "a place is given at the door alone"
    stand._seen()["me"] = 0.0
    AppTest.from_function(part).run()
    assert stand._seen()["me"] > 0


def test_a_full_stand_says_so_and_computes_nothing(monkeypatch):
    import stand

    monkeypatch.setattr(stand, "VISITORS", 1)
    monkeypatch.setattr(stand, "_is_open", lambda visitor: True)
    stand._seen()["somebody else"] = time.monotonic()
    page = opened("listen")
    assert "This stand serves 1 visitors at once" in shown(page)
    assert not page.title
    assert not page.selectbox


@pytest.mark.parametrize(
    ("url", "is_said"),
    [
        ("http://192.168.1.20:8501/", True),
        ("https://q2a.example/", False),
        ("http://localhost:8501/", False),
        ("http://127.0.0.1:8501/listen", False),
    ],
)
def test_where_the_microphone_will_not_work_it_is_said(monkeypatch, url, is_said):
    import stand

    monkeypatch.setattr(stand.st, "context", type("Context", (), {"url": url}))
    page = opened("listen")
    assert "https" not in shown(page)
    page.segmented_control(key="clip_source").set_value("Record").run()
    assert ("only to pages that come over https" in shown(page)) == is_said
