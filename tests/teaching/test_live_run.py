"""A real run in a process of its own, watched as a notebook does: drawn seldom, stopped, resumed, told rightly."""

import json
import shutil
import time

import numpy as np
import pytest

from background_runs import end_runs
from q2a_core import paths
from q2a_core.errors import RunError
from q2a_core.teaching.widgets.curve import curve_svg, smoothed
from q2a_core.teaching.widgets.live_run import LiveRun, draw, go_on, live_run, pick_start
from q2a_core.training.runs import background, processes
from q2a_core.training.runs.class_run import FRESH, ClassRun
from q2a_core.training.runs.expected import Band, expected_run
from q2a_core.training.runs.follow import Follower
from q2a_core.training.runs.state import load_newest
from q2a_core.training.stages import FRESH_START


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(processes, "NICENESS", 0)
    pair = {"prompt": "Hello", "chosen": "Hello! Play me a sound.", "rejected": "No."}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(pair) + "\n", "utf-8")
    yield tmp_path
    end_runs()


@pytest.mark.course
@pytest.mark.timeout(1200)
def test_a_run_is_drawn_interrupted_and_resumed(home):
    pytest.importorskip("espeakng_loader")
    class_run = ClassRun(
        stage="dpo", start="mini-sft", steps=60, dialogues=1, pairs=home / "pairs.jsonl"
    )
    pictures, times = [], []

    def look(picture):
        pictures.append(picture)
        times.append(time.monotonic())
        if "running: step" in picture.words and "step 0 of" not in picture.words:
            raise KeyboardInterrupt  # what the notebook's square button does

    stopped = live_run(class_run, show=look)
    assert stopped.state == "stopped"
    assert 0 < stopped.step < 60
    assert stopped.steps == 60
    assert load_newest(stopped.folder)[1]["step"] >= stopped.step - 1, "its state is saved"
    assert (np.diff(times) > 0.25).all(), "at most four pictures a second"
    assert all("<svg" in p._repr_mimebundle_()["text/html"] for p in pictures[-2:])
    assert "go_on(run) continues it" in str(stopped)

    finished = go_on(stopped, show=lambda picture: pictures.append(picture))
    assert (finished.state, finished.step) == ("finished", 60)
    assert finished.folder == stopped.folder
    marks = [record["step"] for record in finished.records if record["kind"] == "run"]
    assert marks[0] == 0
    assert marks[1] >= stopped.step - 1, "it went on where it stood"
    assert finished.checkpoint is not None
    assert finished.model == str(finished.checkpoint)
    assert set(finished.losses) >= {"loss", "margin", "accuracy", "kl"}
    assert "finished" in pictures[-1].words
    with pytest.raises(RunError, match="already holds a run"):
        background.launch(finished.folder, class_run.options())


@pytest.mark.course
@pytest.mark.timeout(600)
def test_a_run_that_dies_says_why_and_leaves_something_to_go_on_with(home):
    class_run = ClassRun(stage="dpo", start="no-such-thing", steps=2, pairs=home / "pairs.jsonl")
    run = live_run(class_run, show=lambda picture: None)
    assert run.state == "died"
    assert "no-such-thing" in run.error
    assert run.error in str(run)
    assert run.checkpoint is None


def test_a_look_shows_the_band_the_differences_and_the_replies(tmp_path):
    shipped = expected_run("sft")
    assert shipped is not None
    run = tmp_path / "sft-7"
    run.mkdir()
    (run / "config.json").write_text(json.dumps(shipped.stage | {"batch_size": 1}), "utf-8")
    sample = {"kind": "sample", "step": 30, "task": "voice_chat", "clip": 3}
    records = [
        {"kind": "run", "step": 0, "stage": shipped.stage},
        *({"kind": "step", "step": k, "loss": 4.0 - k / 20} for k in range(10, 41, 10)),
        sample | {"said": "I hear a <cat>.", "true": "I hear a dog."},
    ]
    (run / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")
    follower = Follower(run)
    picture = draw(follower, follower.refresh())
    assert "loss 2 after step 40" in picture.words
    assert f"{shipped.title} had" in picture.words
    assert "Expect yours elsewhere" in picture.words
    assert "I hear a &lt;cat&gt;." in picture.body
    assert "<polygon" in picture.body, "the band"
    assert repr(picture) == picture.words


def test_a_curve_is_drawn_with_and_without_points():
    band = Band(
        steps=np.array([10, 20, 30]),
        low=np.array([1.0, 0.8, 0.5]),
        middle=np.array([1.5, 1.0, 0.7]),
        high=np.array([2.0, 1.2, 0.9]),
    )
    empty = curve_svg(np.zeros(0), np.zeros(0), name="loss", last=30)
    assert "<circle" not in empty
    assert "<polygon" not in empty
    steps, values = np.array([2, 4, 6]), np.array([3.0, np.nan, 2.0])
    drawn = curve_svg(steps, values, name="loss", last=20, band=band, alt='2 < 3 "at" the end')
    assert drawn.count("<circle") == 2, "no point where the loss is no number"
    assert "2 &lt; 3" in drawn
    assert "nan" not in drawn
    edges = drawn.split('<polygon points="')[1].split('"')[0].split()
    assert len(edges) == 4, "the band ends where the axis does"
    np.testing.assert_allclose(smoothed(np.array([1.0, 2.0, 3.0, 10.0]), width=1)[1], 2.0)


def test_the_start_is_the_stage_before_or_a_sentence(home, tmp_path, monkeypatch):
    name, why = pick_start("sft")
    assert name == "mini-pretrain"
    assert "mini-pretrain" in why
    shipped = dict(paths.shipped_checkpoints())
    monkeypatch.setattr(paths, "shipped_checkpoints", lambda: {})
    assert pick_start("pretrain")[0] == FRESH
    assert "fresh weights" in pick_start("pretrain")[1]
    with pytest.raises(RunError, match="none ships here"):
        pick_start("dpo")
    start = tmp_path / "mini-start"
    start.mkdir()
    shutil.copy(shipped["mini-pretrain"] / "tokenizer.json", start)
    (start / "about.json").write_text(json.dumps({"stage": "start"}), "utf-8")
    monkeypatch.setattr(paths, "shipped_checkpoints", lambda: shipped | {"mini-start": start})
    assert pick_start("pretrain")[0] == "mini-start"


def test_fresh_weights_are_asked_for_by_name():
    options = ClassRun(stage="pretrain", start=FRESH).options()
    assert options[options.index("--start") + 1] == FRESH_START
    assert "--start" not in ClassRun(stage="start").options()


def test_a_run_without_a_checkpoint_hands_on_what_it_began_from(tmp_path):
    values = {"name": "x", "folder": tmp_path, "stage": "sft", "state": "died", "step": 0}
    values |= {"steps": 0, "seconds": 1.0, "losses": {}, "records": []}
    assert LiveRun(start="mini-pretrain", **values).model == "mini-pretrain"
    assert LiveRun(start=FRESH, **values).model == "mini"
