"""The pages Train and Preferences around a run in the background, and Stages on two checkpoints, without a browser."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from background_runs import end_runs
from q2a_core import paths
from q2a_core.checkpoint import save_checkpoint
from q2a_core.inference import AudioChat
from q2a_core.training.runs import class_run, processes
from q2a_core.world.prompts import in_tags

WORKBENCH = Path(__file__).resolve().parents[2] / "workbench"
TRAINER = Path(__file__).with_name("fake_trainer.py")
PATIENCE = 60


@pytest.fixture(scope="module")
def known(workbench, tiny_model, chat_format, tmp_path_factory) -> Iterator[dict[str, Path]]:
    """The gallery's checkpoint, and another that preferences could begin from."""
    twin = tmp_path_factory.mktemp("twin") / "twin"
    about = {"stage": "sft", "words": ["yes"]}
    settings = {"max_new_tokens": 8}
    save_checkpoint(
        tiny_model, twin, chat_format=chat_format, about=about, generation_config=settings
    )
    known = {"mini": workbench / "checkpoints" / "mini", "twin": twin}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "shipped_checkpoints", lambda: known)
        patch.setattr(paths, "shipped_checkpoint", lambda name: known[name])
        patch.setattr(class_run, "is_trainable", lambda directory: True)
        yield known


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A place of its own for runs, and the trainer that needs no model."""
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))
    spawn = processes.spawn

    def fake(command, output):
        assert command[:4] == [sys.executable, "-m", "q2a_core.cli", "train"]
        return spawn([sys.executable, str(TRAINER), *command[4:]], output)

    monkeypatch.setattr(processes, "spawn", fake)
    monkeypatch.setenv("FAKE_STEP_SECONDS", "0.1")  # 600 steps outlast any test
    yield tmp_path
    end_runs()


def opened(name: str) -> AppTest:
    return AppTest.from_file(str(WORKBENCH / "app_pages" / f"{name}.py"), default_timeout=60).run()


def shown(page: AppTest) -> str:
    assert not page.exception, page.exception
    kinds = (page.caption, page.markdown, page.error, page.info, page.warning, page.header)
    text = "\n".join(element.value for kind in kinds for element in kind)
    bars = [bar.proto.text for bar in page.get("progress")]
    text = "\n".join([text, *bars])
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).replace("\u2060", "")


def press(page: AppTest, key: str) -> AppTest:
    return page.button(key=key).click().run()


def wait_for(page: AppTest, words: str) -> str:
    end = time.monotonic() + PATIENCE
    while words not in (text := shown(page.run())):
        assert time.monotonic() < end, text
        time.sleep(0.1)
    return text


def keys(page: AppTest) -> set[str]:
    return {button.key for button in page.button}


def loaded(page: AppTest, *sources: str) -> AppTest:
    import model_state

    for source in sources:
        model_state.load_model(source).future.result()
    page.session_state["session"].has_painted = True
    return page.run()


def test_a_run_is_started_stopped_and_resumed(known, home):
    page = opened("train")
    assert "Once a run is going you see its loss here" in shown(page)
    page.segmented_control(key="train_stage").set_value("dpo").run()
    page.slider(key="train_dpo_steps").set_value(600).run()
    press(page, "start")
    assert page.session_state["session"].settings["train_run"].value == "dpo-1"
    text = wait_for(page, "running")
    assert "stop" in keys(page)
    assert "resume" not in keys(page)
    text = wait_for(page, "clip 1, count: true is “600”")
    assert re.search(r"loss after step \d+ of 600", text)
    assert re.search(r"step \d+ of 600 · about \d+ (s|min) left", text)
    assert page.get("arrow_vega_lite_chart") or page.get("vega_lite_chart")
    press(page, "stop")
    text = wait_for(page, "stopped; Resume goes on where it stood")
    step = int(re.search(r"step (\d+) of 600", text)[1])
    assert "resume" in keys(page)
    press(page, "resume")
    wait_for(page, "running")
    end = time.monotonic() + PATIENCE
    while int(re.search(r"step (\d+) of 600", shown(page.run()))[1]) <= step:
        assert time.monotonic() < end, "the curve goes on"
        time.sleep(0.1)
    other = opened("train")
    assert "running" in shown(other), "another tab sees the same run"
    assert [box.value for box in other.selectbox if box.label == "Run"] == ["dpo-1"]
    press(other, "stop")
    wait_for(page, "stopped; Resume goes on")


def type_named(page: AppTest, name: str) -> type:
    return next(kind for kind in page.session_state["session"].pages if kind.__name__ == name)


def test_a_finished_run_and_one_that_died_are_told_apart(known, home):
    page = opened("train")
    page.segmented_control(key="train_stage").set_value("dpo").run()
    page.slider(key="train_dpo_steps").set_value(20).run()
    press(page, "start")
    text = wait_for(page, "finished")
    assert "step 20 of 20" in text
    assert not keys(page) & {"stop", "resume"}
    page.number_input(key="train_dpo_seed").set_value(13).run()
    press(page, "start")
    text = wait_for(page, "died")
    assert "the loss became nan at step 1; begin a new run with --start" in text
    assert "resume" in keys(page)
    page.selectbox(key="train_run").set_value("dpo-1").run()
    assert "finished" in shown(page)


def test_a_bad_name_is_one_sentence_and_knobs_are_kept(known, home):
    page = opened("train")
    page.segmented_control(key="train_stage").set_value("dpo").run()
    page.slider(key="train_dpo_steps").set_value(70).run()
    [box] = [box for box in page.text_input if box.label == "Name of the run"]
    box.set_value("../../etc").run()
    press(page, "start")
    assert "is no name for a run" in shown(page)
    assert not (home / "runs").exists()
    page.segmented_control(key="train_stage").set_value("start").run()
    page.segmented_control(key="train_stage").set_value("dpo").run()
    assert page.slider(key="train_dpo_steps").value == 70
    page.segmented_control(key="train_stage").set_value("pretrain").run()
    assert "No start checkpoint ships" in shown(page)
    assert "start" not in keys(page)


def test_a_name_of_ones_own_makes_room_for_the_next(known, home):
    page = opened("train")
    page.segmented_control(key="train_stage").set_value("dpo").run()

    def box():
        return next(box for box in page.text_input if box.label == "Name of the run")

    box().set_value("mine").run()
    press(page, "start")
    assert page.session_state["session"].settings["train_run"].value == "mine"
    assert box().value == "dpo-1", "the name that is taken is gone"
    box().set_value("yours").run()
    again = AppTest.from_file(str(WORKBENCH / "app_pages" / "train.py"), default_timeout=60)
    again.session_state["session"] = page.session_state["session"]
    page = again.run()
    assert box().value == "yours", "typed, not started, and kept over pages"


@pytest.mark.parametrize(("name", "press_"), [("stages", "ask_all"), ("preferences", "draw")])
def test_a_typed_question_and_what_was_said_come_back(known, home, name, press_):
    page = loaded(opened(name), "mini", "twin")

    def box():
        return next(box for box in page.text_input if box.label == "Question")

    box().set_value("Mine?").run()
    press(page, press_)
    waiting = "Its reply to the same question will stand here", "Then draw two replies"
    before = shown(page)
    assert not [words for words in waiting if words in before]
    again = AppTest.from_file(str(WORKBENCH / "app_pages" / f"{name}.py"), default_timeout=60)
    again.session_state["session"] = page.session_state["session"]  # widgets are forgotten
    page = again.run()
    assert box().value == "Mine?"
    assert not [words for words in waiting if words in shown(page)]


def test_blocks_count_from_one(known, home):
    import stage_tables
    from q2a_core.inspection.weight_change import Change

    first = Change(part="decoder", layer=0, kind="", weights=1, relative=0.1)
    assert stage_tables.label(first) == "decoder, block 1"
    still = Change(part="encoder", layer=None, kind="", weights=1, relative=0.0)
    assert "Not at all: encoder; that stage" in stage_tables.in_words([still, first], [first])
    assert "frozen" not in stage_tables.in_words([still], [still]), "a checkpoint and itself"


def test_choices_become_pairs_and_a_run(known, home):
    page = loaded(opened("preferences"), "mini")
    assert "Your pairs: 0" in shown(page)
    assert page.button(key="train_dpo").disabled
    for better in (0, 1):
        press(page, "draw")
        drawn = page.session_state["session"].of(type_named(page, "PreferenceSettings")).drawn
        first, second = (reply.text for reply in drawn[1])
        assert first != second
        press(page, f"prefer_{better}")
        assert f"Your pairs: {better + 1}" in shown(page)
    settings = page.session_state["session"].of(type_named(page, "PreferenceSettings"))
    assert (settings.pairs[1].chosen, settings.pairs[1].rejected) == (second, first)
    assert settings.pairs[0].prompt == "What is this *sound*?"
    press(page, "undo")
    assert "Your pairs: 1" in shown(page)
    other = page.selectbox(key="checkpoint").options[-1]
    page.selectbox(key="checkpoint").set_value(other).run()
    page.text_input(key="checkpoint_path").set_value(str(known["twin"])).run()
    press(page, "train_dpo")
    text = wait_for(page, "finished")
    assert "gained on the rejected one in **0 of 1** of your pairs" in text, (
        "the trainer trains nothing"
    )
    assert "loss 0.693 (log 2 = 0.693 before)" in text
    assert not page.error
    press(page, "ask_both")
    assert not page.error
    for heading in ("Before", "After"):
        assert f"**{heading}**" in shown(page)
    other = opened("preferences")
    assert "waits for the model to be loaded" in shown(other)
    assert "of your pairs" in shown(loaded(other, "mini")), "a new tab finds the run again"
    assert "Drift: KL 0.40 nats per reply, close to the reference" in text
    line = json.loads((home / "runs" / "dpo-1" / "pairs" / "pairs.jsonl").read_text("utf-8"))
    assert line["chosen"] == settings.pairs[0].chosen
    assert (home / "runs" / "dpo-1" / "pairs" / line["clip"]).is_file()


def test_clicks_faster_than_the_page_count_once(known, home):
    page = loaded(opened("preferences"), "mini")
    press(page, "draw")
    for better in (0, 1):  # both before the page is drawn anew
        page.button(key=f"prefer_{better}").click()
    page.run()
    assert "Your pairs: 1" in shown(page)
    settings = page.session_state["session"].of(type_named(page, "PreferenceSettings"))
    settings.pairs.clear()  # as by a click of whose outcome the page does not know yet
    press(page, "undo")
    assert "Your pairs: 0" in shown(page)


def test_an_upload_of_pairs_is_added_or_refused_in_one_sentence(known, home):
    page = opened("preferences")
    pair = {"clip": "noise.wav", "prompt": "What?", "chosen": "a", "rejected": "b"}

    def upload(text: str) -> str:
        page.file_uploader(key="pairs_upload").set_value(
            [("my.jsonl", text.encode(), "text/plain")]
        )
        page.run()
        return shown(press(page, "add_pairs"))

    assert "Your pairs: 1" in upload(json.dumps(pair))
    text = upload(json.dumps(pair | {"clip": "../../etc/passwd"}))
    assert "line 1: the clip 'passwd' is neither a shipped sample nor among the files" in text
    assert "Your pairs: 1" in text


def test_stages_answer_side_by_side_as_each_would_alone(known, home):
    page = loaded(opened("stages"), "mini", "twin")
    assert page.multiselect(key="stages_chosen").value == ["twin"], (
        "the one that says of which stage it is"
    )
    page.multiselect(key="stages_chosen").set_value(["mini", "twin"]).run()
    text = shown(page)
    assert "No dpo checkpoint ships here. Make one with `q2a train dpo" in text
    assert "Nothing moved: the two hold the same weights." in text
    press(page, "ask_all")
    text = " ".join(shown(page).split())
    for name in ("mini", "twin"):
        chat = AudioChat.from_pretrained(name)
        reply = chat.ask(
            audio=paths.data_samples() / "clips" / "noise.wav", text="What is this *sound*?"
        )
        assert " ".join(reply.text.split()) in text
        assert f"{name} {chat.checkpoint.hash} · greedy" in text
    page.segmented_control(key="stages_part").set_value("Over the whole test set").run()
    assert "mini has no results beside it" in shown(page)
    page.segmented_control(key="stages_part").set_value("Which weights moved").run()
    page.multiselect(key="stages_chosen").set_value([]).run()
    assert "Choose two checkpoints above" in shown(page)


def test_a_twin_on_tags_is_asked_in_tags(known, home, tmp_path, monkeypatch):
    import stage_panel

    tags = shutil.copytree(known["twin"], tmp_path / "tags")
    about = {"stage": "sft", "config": {"prompts": "tags"}}
    (tags / "about.json").write_text(json.dumps(about), "utf-8")
    monkeypatch.setitem(known, "tags", tags)
    page = loaded(opened("stages"), "mini", "twin", "tags")
    assert page.multiselect(key="stages_chosen").value == ["twin"], "its stage has a checkpoint"
    press(page, "stages_tags")
    assert page.multiselect(key="stages_chosen").value == ["twin", "tags"]
    [question] = [box for box in page.text_input if box.label == "Question"]
    question.set_value("What is this sound?").run()
    asked = in_tags("What is this sound?")
    assert asked
    assert f"asked in tags: {asked}" in shown(page)
    given = {}
    stream = AudioChat.stream

    def listen(chat, audio, text, **options):
        given[chat.checkpoint.directory.name] = text
        return stream(chat, audio, text, **options)

    monkeypatch.setattr(AudioChat, "stream", listen)
    press(page, "ask_all")
    assert given == {"twin": "What is this sound?", "tags": asked}
    assert stage_panel.put_to("tags", tags, "Is it raining?") == "Is it raining?"
    press(page, "stages_stages")
    assert page.multiselect(key="stages_chosen").value == ["twin"]


@pytest.mark.parametrize("name", ["train", "stages", "preferences"])
def test_the_page_opens_without_torch_and_pandas(known, home, name):
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(WORKBENCH)!r})
from q2a_core import paths
paths.data_samples = lambda: Path({str(paths.data_samples())!r})
from streamlit.testing.v1 import AppTest
page = AppTest.from_file({str(WORKBENCH / "app_pages" / name)!r} + ".py", default_timeout=60).run()
assert not page.exception and not page.error, (page.exception, page.error)
print([name for name in ('torch', 'transformers', 'librosa', 'matplotlib', 'pandas') if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
