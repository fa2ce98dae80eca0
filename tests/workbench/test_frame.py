"""What all pages share: the frame, settings that outlive a page, and the address that shows a view again."""

import sys
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from q2a_core.audio import wav_bytes

WORKBENCH = Path(__file__).resolve().parents[2] / "workbench"
PATIENCE = 240
PAGE = """
import streamlit as st
import frame, state
text = frame.PageText(see="see {name}", attempt="attempt", why="why", limits="limits")
clip = frame.top("{name}", "a page", text)
st.text(f"{name} has {{clip.waveform.name if clip else None}} {{state.session().spot}}")
st.text(f"load {{state.session().load() is not None}}")
"""
APP = """
import streamlit as st
st.navigation([st.Page("one.py", title="One", default=True), st.Page("two.py", title="Two")]).run()
"""


@pytest.fixture(scope="module")
def app(workbench, tmp_path_factory) -> Path:
    """An app of two pages that have nothing but the frame."""
    folder = tmp_path_factory.mktemp("app")
    for name in ("One", "Two"):
        (folder / f"{name.lower()}.py").write_text(PAGE.format(name=name), "utf-8")
    (folder / "app.py").write_text(APP, "utf-8")
    return folder


def opened(app, **parameters) -> AppTest:
    page = AppTest.from_file(str(app / "app.py"), default_timeout=PATIENCE)
    for name, value in parameters.items():
        page.query_params[name] = value
    return page.run()


def other_page(page: AppTest, name: str) -> AppTest:
    return page.switch_page(f"{name}.py").run()


def says(page: AppTest) -> str:
    assert not page.exception, page.exception
    assert not page.error, page.error
    return page.text[0].value


def address(page: AppTest) -> dict[str, str]:
    pairs = page.query_params.items()
    return {name: value if isinstance(value, str) else value[0] for name, value in pairs}


def notes(page: AppTest) -> list[str]:
    return [info.value.replace("\\", "").replace("\u2060", "") for info in page.info]


def noise() -> tuple[str, bytes, str]:
    samples = np.random.default_rng(0).uniform(-0.3, 0.3, 8000).astype(np.float32)
    return "mine.wav", wav_bytes(samples), "audio/wav"


def test_settings_outlive_a_change_of_page(app, tiny_checkpoint):
    page = opened(app)
    page.selectbox(key="sample").set_value("tone").run()
    other = page.selectbox(key="checkpoint").options[-1]
    page.selectbox(key="checkpoint").set_value(other).run()
    page.text_input(key="checkpoint_path").set_value(str(tiny_checkpoint)).run()
    for name in ("two", "one", "two"):
        other_page(page, name)
        assert says(page).startswith(f"{name.title()} has tone.wav")
        assert page.selectbox(key="sample").value == "tone"
        assert page.text_input(key="checkpoint_path").value == str(tiny_checkpoint)
        assert page.session_state["session"].source == str(tiny_checkpoint)


def test_a_run_that_was_cut_short_is_drawn_again(app):
    page = opened(app)
    source = page.segmented_control(key="clip_source")
    assert source.proto.set_value
    page.session_state["session"].is_running = False  # as app.py notes at a run's end
    page.run()
    assert not page.segmented_control(key="clip_source").proto.set_value
    page.session_state["session"].is_running = True
    page.run()
    assert page.segmented_control(key="clip_source").proto.set_value
    source = page.segmented_control(key="clip_source")
    assert source.value == "Samples"
    source.set_value(None).run()  # what a browser sends that never got the value
    assert "noise.wav" in says(page)
    page.run()
    assert page.segmented_control(key="clip_source").value == "Samples"


def test_an_upload_outlives_a_change_of_page_and_can_be_taken_away(app):
    page = opened(app)
    page.segmented_control(key="clip_source").set_value("Upload").run()
    page.file_uploader(key="upload").set_value(noise()).run()
    assert "One has mine.wav" in says(page)
    assert "clip" not in address(page), "nobody else has it"
    other_page(page, "two")
    assert "Two has mine.wav" in says(page)
    page.segmented_control(key="clip_source").set_value("Samples").run()
    assert "mine.wav" not in says(page)
    page.segmented_control(key="clip_source").set_value("Upload").run()
    page.file_uploader(key="upload").set_value(noise()).run()
    page.file_uploader(key="upload").set_value(None).run()
    assert "Two has None" in says(page)


def test_an_upload_is_named_and_removed_on_another_page(app):
    page = opened(app)
    page.segmented_control(key="clip_source").set_value("Upload").run()
    assert "remove_upload" not in {button.key for button in page.button}
    page.file_uploader(key="upload").set_value(noise()).run()
    other_page(page, "two")
    [line] = [line.value for line in page.caption if "Using" in line.value]
    assert "mine\\.wav" in line
    assert "25 MB is not taken, and this one stays" in line
    page.button(key="remove_upload").click().run()
    assert "Two has None" in says(page)
    page.get("file_uploader")[0].set_value(noise()).run()
    assert "Two has mine.wav" in says(page), "and another can be given"


def test_an_upload_that_cannot_be_read_can_be_removed(app):
    page = opened(app)
    page.segmented_control(key="clip_source").set_value("Upload").run()
    page.file_uploader(key="upload").set_value(("x.wav", b"RIFF", "audio/wav")).run()
    assert page.error
    page.button(key="remove_upload").click().run()
    assert "One has None" in says(page)


def test_no_model_is_loaded_before_the_first_page_is_there(app):
    page = opened(app)
    assert page.text[1].value == "load False"
    assert page.run().text[1].value == "load True"


def test_the_chat_is_on_every_page_and_goes_on(app):
    page = opened(app)
    page.chat_input(key="question").set_value("What is this?").run()
    other_page(page, "two")
    assert [line.value for line in page.markdown].count("What is this\\?") == 1
    page.chat_input(key="question").set_value("And now?").run()
    assert not page.error
    [conversation] = page.session_state["session"].conversations.values()
    assert [turn.text for turn in conversation.turns] == ["What is this?", "And now?"]


def test_every_page_teaches(app):
    texts = [line.value for line in opened(app).markdown]
    for part in ("**What you see**", "**Try this**", "**Why it is so**", "**Its limits**"):
        assert any(text.startswith(part) for text in texts)


def test_a_link_shows_the_view_again(app):
    page = opened(app, clip="tone", layer="1", head="2", token="7", embedded="yes")
    assert says(page) == "One has tone.wav Spot(layer=1, head=2, token=7)"
    assert not notes(page)
    expected = {"clip": "tone", "checkpoint": "mini", "layer": "1", "head": "2", "token": "7"}
    assert address(page) == expected | {"embedded": "yes"}, "and what is not ours stays"
    other_page(page, "two")
    assert says(page) == "Two has tone.wav Spot(layer=1, head=2, token=7)"
    assert expected.items() <= address(page).items()


def test_the_address_follows_what_is_chosen(app):
    page = opened(app)
    assert address(page) == {"clip": "noise", "checkpoint": "mini"}
    page.session_state["session"].spot.token = 3
    page.run()
    assert address(page)["token"] == "3"
    page.selectbox(key="sample").set_value("tone").run()
    assert address(page) == {"clip": "tone", "checkpoint": "mini"}, "another clip, other tokens"


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"clip": "no such"}, ["clip “no such”"]),
        ({"token": "9999"}, ["token “9999”"]),
        ({"token": "-1", "layer": "x", "head": ""}, ["token “-1”", "layer “x”", "head “”"]),
        ({"layer": "2", "head": "4"}, ["layer “2”", "head “4”"]),
        ({"checkpoint": "/etc"}, ["checkpoint “/etc”"]),
        ({"checkpoint": "someone/model"}, ["checkpoint “someone/model”"]),
        ({"clip": "![x](http://evil.example/x)" * 9}, ["clip “!", "…”"]),
        ({"layer": "٣"}, ["layer “٣”"]),
    ],
)
def test_what_a_link_names_and_is_not_here_is_said_once(app, parameters, named):
    page = opened(app, **parameters)
    assert says(page) == "One has noise.wav Spot(layer=None, head=None, token=None)"
    [note] = notes(page)
    assert note.startswith("This link asks for ")
    assert all(name in note for name in named)
    assert "](" not in page.info[0].value
    assert address(page) == {"clip": "noise", "checkpoint": "mini"}
    page.run()
    assert notes(page), "it stays while the view is that of the link"
    page.selectbox(key="sample").set_value("tone").run()
    assert not notes(page)


class Arriving(Future):
    """A model that arrives while the page is drawn: the first look finds it missing, later ones find it."""

    def __init__(self, loaded: Future):
        super().__init__()
        self.set_result(loaded.result())
        self.looks = 0

    def done(self) -> bool:
        self.looks += 1
        return self.looks > self.missing

    missing = 0


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_question_is_kept_when_the_model_arrives_while_it_is_asked(app, missing):
    page = opened(app)
    page.chat_input(key="question").set_value("Warm up?").run()
    load = sys.modules["model_state"].load_model("mini")
    arriving = Arriving(load.future)
    arriving.missing = missing
    load.future = arriving
    page.chat_input(key="question").set_value("Is anyone there?").run()
    assert not page.error
    turns = [d.turns for d in page.session_state["session"].conversations.values()]
    assert [turn.text for [*_, turn] in turns] == ["Is anyone there?"]
