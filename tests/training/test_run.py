"""What a run refuses before anything is spoken, and what it writes down about its beginning."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from q2a_core import paths, presets
from q2a_core.checkpoint import open_checkpoint, save_checkpoint
from q2a_core.errors import RunError
from q2a_core.model import Qwen2Audio
from q2a_core.training import run, stages
from q2a_core.training.origin import heads_of_start, note_start, noted_start, open_origin
from q2a_core.training.runs.claim import claim_folder, settings_of
from q2a_core.training.runs.class_run import is_trainable
from q2a_core.training.runs.layout import START_FILE
from q2a_core.training.runs.presence import present
from q2a_core.training.stages import StageConfig
from q2a_core.world.mini_tokenizer import mini_chat_format

STAGE = stages.pretrain(steps=3)
DPO = stages.dpo(steps=3)


@pytest.fixture
def silent(monkeypatch):
    """No speech, no pairs and no weights may be asked for."""

    def never(*_, **__):
        raise AssertionError("the preparations began")

    for name in ("training_batches", "preference_corpus", "held_out_examples", "absent_pairs"):
        monkeypatch.setattr(run, name, never)
    monkeypatch.setattr(run, "open_origin", never)


def _start(stage, folder, **options):
    if stage.name == "dpo":
        return run.run_dpo(stage, folder, sampled=5, **options)
    return run.run_stage(stage, folder, **options)


@pytest.mark.parametrize("stage", [STAGE, DPO], ids=["supervised", "dpo"])
def test_a_folder_is_refused_before_anything_is_spoken(stage, silent, tmp_path):
    with pytest.raises(RunError, match="new holds no run to go on with; leave out --resume"):
        _start(stage, tmp_path / "new", resume=True)
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file is a file; expected the name of a folder"):
        _start(stage, tmp_path / "file")
    folder = tmp_path / "taken"
    folder.mkdir()
    claim_folder(folder, stage, resume=False)
    with pytest.raises(RunError, match="already holds a run"):
        _start(stage, folder)
    other = replace(stage, steps=4, learning_rate=0.5)
    with pytest.raises(
        RunError, match=r"other settings: steps 3, not 4, learning_rate .*, not 0.5"
    ):
        _start(other, folder, resume=True)


def test_another_stage_is_named_and_not_all_its_settings(silent, tmp_path):
    claim_folder(_made(tmp_path / "taken"), DPO, resume=False)
    with pytest.raises(RunError, match="other settings: stage dpo, not pretrain; resume"):
        _start(STAGE, tmp_path / "taken", resume=True)


def _made(folder):
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "[]",
        "[" * 100_000,
        '{"name": "sft", "steps": "10"}',
        '{"name": "sft", "rates": null}',
    ],
)
def test_damaged_settings_are_one_sentence(tmp_path, text):
    (tmp_path / "config.json").write_text(text, "utf-8")
    with pytest.raises(RunError, match=r"config.json is damaged: .*; expected the settings"):
        settings_of(tmp_path)


@pytest.mark.parametrize("name", ["log.jsonl", "checkpoint"])
def test_what_no_run_wrote_is_not_written_over(tmp_path, name):
    (tmp_path / name).mkdir() if name == "checkpoint" else (tmp_path / name).write_text("mine")
    with pytest.raises(RunError, match=f"holds {name} that no run wrote.*choose a new or an empty"):
        claim_folder(tmp_path, STAGE, resume=False)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_dpo_without_any_pairs_is_refused_at_once(silent, tmp_path):
    with pytest.raises(RunError, match=r"no preference pairs.*--pairs.*--sampled or --absent"):
        run.run_dpo(DPO, tmp_path / "run", sampled=0)


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunError, match="file is a file; expected the name of a folder"),
        present(tmp_path / "file"),
    ):
        pass
    with pytest.raises(RunError, match="run cannot hold a run"), present(tmp_path / "file" / "run"):
        pass


def test_a_start_of_another_kind_is_refused(tmp_path, tiny_checkpoint):
    with pytest.raises(
        RunError, match=r"tiny has another tokenizer .* expected one that q2a train"
    ):
        open_origin(replace(STAGE, start=str(tiny_checkpoint)))
    model = Qwen2Audio(presets.tiny(vocab_size=presets.MINI_VOCAB_SIZE, max_source_positions=500))
    model.init_weights(torch.Generator().manual_seed(0))
    small = save_checkpoint(model, tmp_path / "small", chat_format=mini_chat_format())
    assert is_trainable(small)
    with pytest.raises(RunError, match="small has other dimensions"):
        open_origin(replace(STAGE, start=str(small)))


def test_the_start_is_written_when_the_run_begins(tmp_path, monkeypatch):
    """An attempt that ends earlier leaves no start behind, and fresh weights leave none of an earlier attempt."""
    begun = open_origin(replace(STAGE, start="mini-sft"))
    assert begun.start is not None
    assert begun.start["name"] == "mini-sft"

    def refuse(*_, **__):
        raise RunError("no speech")

    monkeypatch.setattr(run, "training_batches", refuse)
    with pytest.raises(RunError, match="no speech"):
        run.run_stage(replace(STAGE, start="mini-sft"), tmp_path / "run")
    assert not (tmp_path / "run" / START_FILE).exists()
    note_start(tmp_path, begun.start)
    assert noted_start(tmp_path) == json.loads(json.dumps(begun.start))
    note_start(tmp_path, None)
    assert noted_start(tmp_path) is None


def test_a_stage_without_heads_hands_on_those_of_its_start(tmp_path):
    """DPO has no spelling head; a later SFT goes on with the one that it started from."""
    stage = replace(DPO, start="mini-sft")
    start = open_checkpoint("mini-sft")
    found = heads_of_start(stage, {"hash": start.hash})
    assert found
    assert found.keys() == start.training_tensors().keys()
    assert heads_of_start(stage, {"hash": "another"}) is None
    assert heads_of_start(stage, None) is None
    assert heads_of_start(replace(DPO, start=str(tmp_path)), {"hash": start.hash}) is None
    assert heads_of_start(replace(DPO, start=None), None) == {}, "fresh weights have none"


def test_a_start_is_found_again_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    mine = tmp_path / "here" / "mine"
    shutil.copytree(paths.shipped_checkpoint("mini-sft"), mine)
    stage = replace(DPO, start="mine")
    monkeypatch.chdir(tmp_path / "here")
    noted = open_origin(stage).start
    assert noted is not None
    expected = open_checkpoint("mini-sft").training_tensors()
    for folder in ("here", "there"):
        monkeypatch.chdir(tmp_path / folder)
        found = heads_of_start(stage, noted)
        assert found is not None
        assert all(found[name].equal(expected[name]) for name in expected)
    old = {name: value for name, value in noted.items() if name != "folder"}
    assert heads_of_start(stage, old) is None, "an older run tells nothing more than the name"
    monkeypatch.chdir(tmp_path / "here")
    assert heads_of_start(stage, old)
    mine.rename(tmp_path / "there" / "mine")
    assert heads_of_start(stage, noted) is None
    monkeypatch.chdir(tmp_path / "there")
    assert heads_of_start(stage, noted), "it moved with the folder that its name is relative to"


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["learning_rate", "beta"])
def test_a_rate_is_a_number_over_zero(name, value):
    with pytest.raises(RunError, match=f"{name} is .*; expected a number over 0"):
        StageConfig(name="sft", steps=1, **{name: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, "seed is -1; expected 0 or more"),
        ({"seed": 2**64}, "seed is 18446744073709551616; expected at most"),
        ({"level": "first", "prompts": "tags"}, "the first world knows no tags"),
        ({"level": "first", "engines": ("espeak", "flite")}, "the first world knows no flite"),
        ({"nll_weight": float("nan")}, "nll_weight is nan"),
        ({"save_every": 0}, "save_every is 0; expected at least 1"),
        ({"betas": (0.9, float("nan"))}, "betas are"),
        ({"rates": {"decoder": float("inf")}}, "the factor inf"),
    ],
)
def test_settings_that_make_no_run_are_refused(changes, message):
    with pytest.raises(RunError, match=message):
        StageConfig(name="sft", steps=1, **changes)
