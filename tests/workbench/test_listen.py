"""The page Listen, driven without a browser: every source of clips, every way to ask, every kind of mistake."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from hostile_audio import HOSTILE_AUDIO
from q2a_core import paths
from q2a_core.audio import wav_bytes
from q2a_core.confidence import CAVEAT
from q2a_core.inference import AudioChat, Reply

WORKBENCH = Path(__file__).resolve().parents[2] / "workbench"
PATIENCE = 240  # seconds; nothing here is a matter of speed


@pytest.fixture
def page(workbench) -> AppTest:
    return AppTest.from_file(str(WORKBENCH / "app.py"), default_timeout=PATIENCE).run()


def shown(page: AppTest) -> str:
    """All text on the page, without the escapes of Markdown."""
    kinds = (page.title, page.caption, page.markdown, page.error, page.warning, page.header)
    return unescaped("\n".join(element.value for kind in kinds for element in kind))


def unescaped(text: str) -> str:
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).replace("\u2060", "")


def says(page: AppTest, reply: Reply) -> bool:
    """Whether a reply is on the page; Markdown strips its ends."""
    return " ".join(reply.text.split()) in " ".join(shown(page).split())


def errors(page: AppTest) -> list[str]:
    assert not page.exception, page.exception
    return [unescaped(error.value) for error in page.error]


def choose(page: AppTest, source: str) -> AppTest:
    return page.segmented_control(key="clip_source").set_value(source).run()


def upload(page: AppTest, name: str, data: bytes) -> AppTest:
    return page.file_uploader(key="upload").set_value((name, data, "audio/wav")).run()


def ask(page: AppTest, text: str) -> AppTest:
    return page.chat_input(key="question").set_value(text).run()


def press(page: AppTest, key: str) -> AppTest:
    return page.button(key=key).click().run()


def noise(seconds: float = 0.5, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    return wav_bytes(rng.uniform(-0.3, 0.3, round(seconds * 16_000)).astype(np.float32))


def test_opens_on_a_recorded_reply(page):
    assert not errors(page)
    text = shown(page)
    assert "Trained on synthetic voices: real voices are harder" in text
    assert "What is this *sound*?" in text
    assert "loading mini" in text.replace("**", "")
    assert [badge.value for badge in page.markdown if "recorded" in badge.value]
    assert [expander.label for expander in page.sidebar.expander] == [
        "Lines to try (2)",
        "Sounds (2)",
        "Words (3)",
    ]


def test_first_picture_needs_no_torch(workbench):
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(WORKBENCH)!r})
from q2a_core import paths
paths.data_samples = lambda: Path({str(workbench)!r})
from streamlit.testing.v1 import AppTest
page = AppTest.from_file({str(WORKBENCH / "app.py")!r}, default_timeout={PATIENCE}).run()
assert not page.exception and not page.error
assert any(element.proto.component_name == 'q2a_player' for element in page.get('bidi_component'))
print([name for name in ('torch', 'transformers', 'librosa', 'matplotlib') if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_what_it_knows_of_clips_in_a_dialogue(workbench):
    about = workbench / "checkpoints" / "mini" / "about.json"
    before = about.read_text("utf-8")
    try:
        about.write_text(json.dumps(json.loads(before) | {"trained_clips": 1}), "utf-8")
        page = AppTest.from_file(str(WORKBENCH / "app.py"), default_timeout=PATIENCE).run()
        press(press(page, "alone"), "alone")
    finally:
        about.write_text(before, "utf-8")
    text = shown(page)
    assert "It knows clips of up to 1 s, one to a dialogue." in text
    assert text.count("was trained on one clip per dialogue; with more it guesses") == 1


def test_a_question_is_answered_as_the_chat_answers(page, workbench):
    press(page, "suggested")
    assert not errors(page)
    chat = AudioChat.from_pretrained("mini")
    reply = chat.ask(audio=workbench / "clips" / "noise.wav", text="What is this *sound*?")
    text = shown(page)
    assert says(page, reply)
    assert f"mini {chat.checkpoint.hash} · greedy, at most 12 tokens" in text
    assert f"confidence {reply.confidence:.0%}" in text
    assert f"Low confidence ({reply.confidence:.0%}): this may be a guess. {CAVEAT}" in text
    assert f"real voices are harder for it. It knows clips of up to 1 s. {CAVEAT}" in text
    [line] = [caption for caption in page.caption if "first token" in caption.value]
    assert line.proto.help == CAVEAT, "beside the sure ones too, which warn of nothing"


def test_later_questions_go_on_about_the_clip(page, workbench):
    ask(page, "First?")
    ask(page, "Second?")
    chat = AudioChat.from_pretrained("mini")
    first = chat.ask(audio=workbench / "clips" / "noise.wav", text="First?")
    second = chat.ask(text="Second?")
    assert says(page, first)
    assert says(page, second)
    assert shown(page).count("noise.wav") == 1, "the clip is sent once"


def test_a_reply_that_was_cut_short_says_so(page):
    ask(page, "First?")
    assert "before this reply had ended" not in shown(page)
    [conversation] = page.session_state["session"].conversations.values()
    from conversation_state import Turn

    pieces = conversation.answer(Turn(text="Second?", clip=None), None, split=False)
    next(pieces)
    pieces.close()  # as another clip, page or checkpoint does that is chosen meanwhile
    page.run()
    assert shown(page).count("before this reply had ended") == 1


def test_the_clip_alone_is_voice_chat(page, workbench):
    press(page, "alone")
    reply = AudioChat.from_pretrained("mini").ask(audio=workbench / "clips" / "noise.wav")
    assert says(page, reply)
    assert "noise.wav alone, without text" in shown(page)


def test_every_clip_keeps_its_conversation_until_a_new_chat(page):
    ask(page, "About the noise?")
    page.selectbox(key="sample").set_value("tone").run()
    assert "About the noise?" not in shown(page)
    ask(page, "About the tone?")
    page.selectbox(key="sample").set_value("noise").run()
    assert "About the noise?" in shown(page)
    press(page, "new_chat")
    assert "About the noise?" not in shown(page)
    page.selectbox(key="sample").set_value("tone").run()
    assert "About the tone?" in shown(page)


def test_notices_are_shown(page):
    choose(page, "Upload")
    upload(page, "fast.wav", wav_bytes(np.full(22_050, 0.1, np.float32), 22_050))
    assert "resampled from 22,050 Hz" in shown(page)
    choose(page, "Samples")
    page.selectbox(key="sample").set_value("tone").run()
    ask(page, "What?")
    assert "trained on clips up to 1 s" in shown(page)


def test_a_clip_over_the_window_is_refused_and_can_be_asked_again(page):
    page.selectbox(key="sample").set_value("long").run()
    ask(page, "What?")
    assert errors(page) == [error for error in errors(page) if "hears 5 s at once" in error]
    ask(page, "And now?")
    assert len(errors(page)) == 2, "the clip is tried again, not silently left out"


def test_more_than_thirty_seconds_are_offered_to_be_cut(page):
    choose(page, "Upload")
    upload(page, "long.wav", noise(31))
    assert "lasts 31 s" in shown(page)
    page.toggle(key="split").set_value(True).run()
    ask(page, "What?")
    assert not errors(page)
    assert "cut into 7 clips" in shown(page)


def test_more_than_two_minutes_are_refused(page):
    choose(page, "Upload")
    upload(page, "hour.wav", noise(121))
    [error] = errors(page)
    assert "hour.wav: lasts at least 121 s; at most 120 s are taken" in error


def test_a_recording_is_a_clip(page):
    choose(page, "Record")
    assert "the browser needs a microphone and your permission" in shown(page)
    recording = ("2026-11-22_audio.wav", noise(0.4), "audio/wav")
    page.get("audio_input")[0].set_value(recording).run()
    press(page, "alone")
    assert not errors(page)
    assert "your recording alone, without text" in shown(page)
    assert "the browser needs a microphone" not in shown(page)


def test_without_a_clip_text_alone_is_asked(page):
    choose(page, "Upload")
    assert page.button(key="alone").disabled
    ask(page, "Hello?")
    assert not errors(page)
    assert says(page, AudioChat.from_pretrained("mini").ask(text="Hello?"))


def hostile_files(folder: Path) -> list[tuple[str, bytes, str]]:
    """Those of the hostile clips that a browser could send."""
    files = []
    for number, (_, build, fragment) in enumerate(HOSTILE_AUDIO):
        home = folder / str(number)
        home.mkdir()
        try:
            path = build(home)
            small = path.is_file() and path.stat().st_size <= 25 * 2**20
        except (OSError, ValueError):
            continue
        if small and not path.is_symlink():
            files.append((path.name, path.read_bytes(), fragment))
    return files


def test_hostile_uploads_are_one_sentence_each(page, tmp_path):
    choose(page, "Upload")
    files = hostile_files(tmp_path)
    assert len(files) >= 60
    for name, data, fragment in files:
        upload(page, name, data)
        [error] = errors(page)
        assert fragment in error or "at most 120 s are taken" in error, name
        assert "Traceback" not in error
    upload(page, "fine.wav", noise())
    assert not errors(page), "the page goes on"
    ask(page, "What?")
    assert not errors(page)


def test_a_name_is_shown_and_never_a_picture_or_a_path(page):
    choose(page, "Upload")
    upload(page, "../../![x](http://evil.example/x.png)<b>.wav", b"RIFF")
    raw = page.error[0].value
    assert "](" not in raw
    assert "<b>" not in raw


def test_replies_are_shown_as_they_are(workbench):
    from plain import plain

    hostile = (
        "![x](http://evil.example/x.png) :material/home: $x$ <b> `a` # _b_ ~c~ | \\ :red[x]\n- y"
    )
    escaped = plain(hostile)
    assert unescaped(escaped).replace("  \n", "\n") == hostile
    assert not re.search(r"[!-/:-@\[-`{-~]", re.sub(r"\\.", "", escaped))


@pytest.mark.parametrize(
    ("source", "fragment"),
    [
        ("no-such-thing", "no checkpoint 'no-such-thing'"),
        ("/", "has no config.json"),
        ("![x](http://evil.example/x.png)", "no checkpoint"),
        ("~nobody-of-this-name/checkpoint", ""),
        ("x" * 5000, ""),
    ],
)
def test_a_wrong_checkpoint_is_one_sentence(page, source, fragment):
    other = page.selectbox(key="checkpoint").options[-1]
    page.selectbox(key="checkpoint").set_value(other).run()
    page.text_input(key="checkpoint_path").set_value(source).run()
    ask(page, "What?")
    found = errors(page)
    assert found
    assert all(fragment in error for error in found)
    assert all("](" not in error.value for error in page.error)
    page.run()
    press(page, "retry_chat")
    page.selectbox(key="checkpoint").set_value("mini").run()
    ask(page, "What?")
    assert not errors(page)


def test_a_directory_is_a_checkpoint(page, tiny_checkpoint):
    other = page.selectbox(key="checkpoint").options[-1]
    page.selectbox(key="checkpoint").set_value(other).run()
    page.text_input(key="checkpoint_path").set_value(str(tiny_checkpoint)).run()
    assert "does not say what it was trained on" in shown(page)
    ask(page, "What?")
    assert not errors(page)
    assert "tiny " in shown(page)


def test_what_nobody_expected_shows_no_traceback(page, monkeypatch, caplog):
    monkeypatch.setattr(sys.modules["clip_state"], "_clip_view", "a mistake")
    page.selectbox(key="sample").set_value("long").run()
    [error] = errors(page)
    assert error.startswith("Something went wrong inside the workbench")
    assert "not callable" in caplog.text


def test_a_damaged_trace_is_computed_anew(workbench, monkeypatch):
    import clip_state

    def broken(sample):
        raise clip_state.Q2AError("damaged")

    monkeypatch.setattr(clip_state, "recorded_trace", broken)
    page = AppTest.from_file(str(WORKBENCH / "app.py"), default_timeout=PATIENCE).run()
    assert not errors(page)
    assert page.get("bidi_component")


def test_an_empty_house_says_what_to_do(workbench, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "data_samples", lambda: tmp_path)
    page = AppTest.from_file(str(WORKBENCH / "app.py"), default_timeout=PATIENCE).run()
    assert not errors(page)
    assert "Give a directory" in shown(page)
    assert page.chat_input(key="question").disabled


def test_mini_is_chosen_first(workbench, monkeypatch):
    mini = workbench / "checkpoints" / "mini"
    known = {"another": mini, "mini": mini}
    monkeypatch.setattr(paths, "shipped_checkpoints", lambda: known)
    page = AppTest.from_file(str(WORKBENCH / "app.py"), default_timeout=PATIENCE).run()
    assert page.selectbox(key="checkpoint").value == "mini"


def test_two_tabs_share_the_model_and_nothing_else(page):
    other = AppTest.from_file(str(WORKBENCH / "app.py"), default_timeout=PATIENCE).run()
    ask(page, "Mine?")
    ask(other, "Yours?")
    assert "Yours?" not in shown(page)
    assert "Mine?" not in shown(other)
    chats = [
        next(iter(tab.session_state["session"].conversations.values())).chat
        for tab in (page, other)
    ]
    assert chats[0] is not chats[1]
    assert chats[0].model is chats[1].model


def test_a_retrained_checkpoint_is_loaded_anew(page, workbench):
    import model_state

    before = model_state.load_model("mini")
    assert model_state.load_model("mini") is before
    about = workbench / "checkpoints" / "mini" / "about.json"
    text = about.read_text("utf-8")
    about.write_text(text + "\n", "utf-8")
    try:
        assert model_state.load_model("mini") is not before
    finally:
        about.write_text(text, "utf-8")


def test_the_page_runs_alone(workbench):
    page = AppTest.from_file(
        str(WORKBENCH / "app_pages" / "listen.py"), default_timeout=PATIENCE
    ).run()
    assert not errors(page)
    assert page.title[0].value == "Listen"
