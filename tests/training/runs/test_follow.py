"""Following a log that grows, ends in half a line, and is cut back by a resume; and what is read of it."""

import json
import os

import numpy as np
import pytest

from q2a_core import paths
from q2a_core.errors import RunError
from q2a_core.hashes import checkpoint_hash
from q2a_core.paths import shipped_checkpoints
from q2a_core.training.runs.class_run import class_stage
from q2a_core.training.runs.expected import (
    Band,
    ShippedRun,
    band,
    differences,
    expected_run,
    keep_class_run,
    recorded_class_run,
    shipped_run,
)
from q2a_core.training.runs.follow import (
    SILENT_END,
    Follower,
    LogReader,
    names_in,
    samples_in,
    series,
)
from q2a_core.training.runs.layout import HOLDER, LAUNCH, STOP
from q2a_core.training.runs.presence import is_held, present, write_note
from q2a_core.training.runs.runlog import RunLog, read_log


def step(number: int, **values) -> dict:
    return {"kind": "step", "step": number, "learning_rate": 1e-3, **values}


def test_pieces_of_any_size_give_every_record_once(tmp_path):
    rng = np.random.default_rng(0)
    lines = [
        json.dumps(step(k, loss=1 / k, note="猫" * int(rng.integers(9)))) for k in range(1, 80)
    ]
    data = ("\n".join(lines) + "\n").encode()
    path = tmp_path / "log.jsonl"
    reader = LogReader(path)
    assert not reader.refresh(), "there is no log yet"
    place = 0
    while place < len(data):
        size = int(rng.integers(1, 300))
        with path.open("ab") as file:
            file.write(data[place : place + size])
        place += size
        reader.refresh()
        assert reader.records == [json.loads(line) for line in data[:place].split(b"\n")[:-1]]
    assert not reader.refresh(), "nothing was added"
    assert reader.records == read_log(path)


@pytest.mark.parametrize(
    ("error", "words"),
    [(RunError("no such thing"), "no such thing"), (KeyError("x"), "KeyError: 'x'")],
)
def test_what_ended_a_run_is_known_as_soon_as_nobody_holds_its_folder(tmp_path, error, words):
    follower = Follower(tmp_path)
    with pytest.raises(type(error)), present(tmp_path):  # noqa: PT012
        assert follower.refresh().state == "preparing"
        raise error
    status = follower.refresh()  # its process would print the reason a moment later
    assert (status.state, status.error) == ("died", words)
    with present(tmp_path):
        pass
    assert follower.refresh().error == SILENT_END, "what ended the run before is forgotten"


def test_a_command_that_is_refused_leaves_the_run_as_it_is(tmp_path):
    run = tmp_path / "run"
    with present(run):
        RunLog(run / "log.jsonl").write("run", step=0)
        RunLog(run / "log.jsonl").write("end", step=5, finished=True)
        (run / "checkpoint").mkdir()
    assert Follower(run).refresh().state == "finished"
    holder = (run / HOLDER).read_text("utf-8")

    def refuse():
        raise RunError("it already holds a run")

    with pytest.raises(RunError, match="already holds"), present(run, refuse):
        raise AssertionError("it came in")
    assert Follower(run).refresh().state == "finished"
    assert (run / HOLDER).read_text("utf-8") == holder
    assert not is_held(run)


def test_a_stop_of_before_is_forgotten_but_not_one_of_a_process_on_its_way(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / STOP).touch()
    write_note(run / LAUNCH, {"pid": os.getpid() + 1, "options": [], "time": 0})
    with present(run):  # as `--resume` in a terminal
        assert Follower(run).refresh().state == "preparing"
    (run / STOP).touch()
    write_note(run / LAUNCH, {"pid": os.getpid(), "options": [], "time": 0})
    with present(run):  # as a face started it, and Stop was pressed since
        assert Follower(run).refresh().state == "stopping"


def test_what_has_saved_is_stopped_and_still_leaving(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    write_note(run / LAUNCH, {"pid": os.getpid(), "options": [], "time": 0})
    with present(run):
        (run / STOP).touch()
        RunLog(run / "log.jsonl").write("run", step=0)
        RunLog(run / "log.jsonl").write("end", step=3, finished=False)
        status = Follower(run).refresh()
        assert (status.state, status.is_leaving) == ("stopped", True)
    status = Follower(run).refresh()
    assert (status.state, status.is_leaving) == ("stopped", False)


@pytest.mark.parametrize("cut", [0, 1, 7, 29])
def test_a_log_cut_by_a_resume_is_read_anew(tmp_path, cut):
    log = RunLog(tmp_path / "log.jsonl")
    for number in range(1, 31):
        log.write("step", step=number, loss=1.0)
    reader = LogReader(log.path)
    reader.refresh()
    log.cut(cut)
    for number in range(cut + 1, 40):  # longer than before, with other values
        log.write("step", step=number, loss=2.0)
    assert reader.refresh()
    assert reader.records == read_log(log.path)
    assert [record["loss"] for record in reader.records] == [1.0] * cut + [2.0] * (39 - cut)


def test_curves_are_the_lines_that_have_them():
    records = [
        {"kind": "run", "step": 0, "stage": {}},
        step(2, loss=2.0, clips_per_second=9.0),
        step(4, loss=1.0, spelling=0.5),
        {"kind": "sample", "step": 4, "task": "count", "clip": 1, "said": "one", "true": "two"},
        step(6, loss=0.5),
        {"kind": "sample", "step": 6, "task": "count", "clip": 1, "said": "two ", "true": "two"},
    ]
    assert names_in(records) == ["loss", "spelling"]
    steps, values = series(records, "spelling")
    assert (steps.tolist(), values.tolist()) == ([4], [0.5])
    assert series(records, "kl")[0].shape == (0,)
    [heard] = samples_in(records)
    assert heard.said == ((4, "one"), (6, "two "))
    assert heard.is_right


def test_the_band_holds_the_quantiles_of_the_lines_around():
    records = [step(10 * k, loss=float(k % 7)) for k in range(1, 60)]
    found = band(records, "loss", window=5)
    assert isinstance(found, Band)
    values = [float(k % 7) for k in range(1, 60)]
    for k in (0, 3, 30, 58):
        around = sorted(values[max(0, k - 5) : k + 6])
        assert found.steps[k] == 10 * (k + 1)
        assert found.middle[k] == pytest.approx(np.median(around))
        for share, value in ((0.1, found.low[k]), (0.9, found.high[k])):
            whole, part = divmod(share * (len(around) - 1), 1)
            beside = around[min(int(whole) + 1, len(around) - 1)]
            assert value == pytest.approx(around[int(whole)] * (1 - part) + beside * part)
    assert band(records[:2], "loss") is None


def test_what_sets_a_run_apart_is_said(tmp_path):
    settings = {"learning_rate": 1e-3, "batch_size": 24, "optimizer": "muon"}
    shipped = ShippedRun(
        title="the run behind mini-x", stage=settings, start_hash="abc", records=[]
    )
    (tmp_path / "start.json").write_text('{"hash": "abc"}', "utf-8")
    assert differences(shipped, tmp_path, settings) == []
    other = settings | {"batch_size": 16}
    assert differences(shipped, tmp_path, other) == ["ours 24 dialogues a step, yours 16"]
    assert differences(shipped, tmp_path, settings | {"batch_size": 8, "accumulate": 3}) == []
    (tmp_path / "start.json").unlink()
    assert differences(shipped, tmp_path, settings) == [
        "ours began from abc, yours from fresh weights"
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 60}, "steps ours 110, yours 60"),
        ({"seed": 3}, "seed ours 0, yours 3"),
        ({"final_rate": 0.5}, "final rate ours 0.02, yours 0.5"),
        ({"weight_decay": 0.1}, "weight decay ours 0.02, yours 0.1"),
        ({"level": "first"}, "level ours grown, yours first"),
        ({"utterances": 50}, "utterances ours 2000, yours 50"),
        ({"rates": {}}, "rate of audio encoder ours 0.25, yours 1.0"),
        ({"trains": ("audio_encoder", "decoder")}, "rate of projector ours 1.0, yours 0.0"),
    ],
)
def test_whatever_moves_a_curve_is_said(tmp_path, change, said):
    stage = class_stage("sft").to_dict()
    shipped = ShippedRun(title="ours", stage=stage, start_hash=None, records=[])
    assert differences(shipped, tmp_path, stage | change) == [said]


def test_pairs_of_ones_own_are_said(tmp_path):
    stage = class_stage("dpo").to_dict()
    kinds = {"own": 0, "absent": 24, "sampled": 108, "asked": 110}
    records = [{"kind": "run", "pairs_by_kind": kinds}]
    shipped = ShippedRun(title="ours", stage=stage, start_hash=None, records=records)
    assert differences(shipped, tmp_path, stage) == [], "before it has a log it is not known"
    own = kinds | {"own": 12, "absent": 0}
    RunLog(tmp_path / "log.jsonl").write("run", step=0, stage=stage, pairs_by_kind=own)
    said = ["own pairs ours 0, yours 12", "pairs about absent things ours 24, yours 0"]
    assert differences(shipped, tmp_path, stage) == said


def test_shipped_runs_are_found_with_their_curves():
    for stage in ("pretrain", "sft", "dpo"):
        run = shipped_run(stage)
        if run is None:
            assert not (
                paths.data_samples() / "checkpoints" / f"mini-{stage}" / "training"
            ).is_dir()
            continue
        assert run.stage["name"] == stage
        assert len(series(run.records, "loss")[0]) > 10
    assert shipped_run("no such stage") is None


def test_a_run_is_held_against_ours_at_class_budget_or_else_the_long_one(tmp_path, monkeypatch):
    run, samples = tmp_path / "run", tmp_path / "data_samples"
    run.mkdir()
    settings = {"name": "sft", "learning_rate": 4e-4}
    log = RunLog(run / "log.jsonl")
    log.write("run", step=0, stage=settings)
    for number in range(1, 9):
        log.write("step", step=number, loss=1 / number, note="猫")
    (run / "start.json").write_text('{"hash": "abc"}', "utf-8")
    long = expected_run("sft")
    keep_class_run(run, samples / "class_runs" / "sft.json")
    monkeypatch.setattr(paths, "data_samples", lambda: samples)
    ours = expected_run("sft")
    assert ours.title == "our run at class budget"
    assert (ours.stage, ours.start_hash) == (settings, "abc")
    assert ours.records == read_log(run / "log.jsonl")
    assert band(ours.records, "loss").middle[0] == pytest.approx(1 / 3)
    assert differences(ours, run, settings) == []
    assert expected_run("dpo") is None, "nothing else is in this folder"
    assert long is not None


def test_our_class_runs_are_what_a_class_starts(tmp_path):
    for stage in ("pretrain", "sft", "dpo"):
        ours = recorded_class_run(stage)
        if ours is None:
            continue
        settings = class_stage(stage).to_dict()
        start = shipped_checkpoints()[settings["start"]]
        (tmp_path / "start.json").write_text(json.dumps({"hash": checkpoint_hash(start)}), "utf-8")
        assert differences(ours, tmp_path, settings) == [], "record them anew: measure_budgets.py"
        assert ours.records[-1] == {"kind": "end", "step": settings["steps"], "finished": True}
