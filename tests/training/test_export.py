"""A run's checkpoint: where it may go, how many steps it claims, and a card whose command the tool takes."""

import json
import shlex
import shutil
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from q2a_core import paths, presets
from q2a_core.checkpoint import open_checkpoint, save_checkpoint
from q2a_core.cli import train as cli
from q2a_core.errors import CheckpointError, RunError
from q2a_core.model import Qwen2Audio
from q2a_core.training import stages
from q2a_core.training.command import command_of, unsaid
from q2a_core.training.export import export_newest, hand_over
from q2a_core.training.loop import Hooks
from q2a_core.training.model_card import about_run, model_card, trained_on
from q2a_core.training.optimizer import make_optimizer
from q2a_core.training.origin import note_start, open_origin
from q2a_core.training.preference.dpo import Preference
from q2a_core.training.processes import Processes
from q2a_core.training.runs.claim import claim_folder
from q2a_core.training.runs.runlog import RunLog
from q2a_core.training.runs.state import save_state
from q2a_core.training.stages import CLASS_BUDGET
from q2a_core.training.supervised import Supervised
from q2a_core.world.corpus import Corpus
from q2a_core.world.mini_tokenizer import mini_chat_format

STAGE = stages.sft(steps=40, batch_size=4, accumulate=1)
PAIRS = {"own": 3, "absent": 5, "sampled": 11, "asked": 12}


@pytest.fixture(scope="module")
def objective() -> Supervised:
    model = Qwen2Audio(presets.mini())
    model.init_weights(torch.Generator().manual_seed(0))
    return Supervised(model, ctc_weight=1.0, seed=0)


@pytest.fixture
def run(tmp_path, objective):
    """A run that was stopped after 7 of 40 steps."""
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    claim_folder(folder, STAGE, resume=False)
    note_start(folder, {"name": "mini-pretrain", "hash": "abc", "clips": 1000})
    log = RunLog(folder / "log.jsonl")
    log.write("run", step=0, stage=STAGE.to_dict())
    log.write("end", step=7, finished=False)
    optimizer = make_optimizer(objective, STAGE)
    save_state(folder, 7, module=objective, optimizer=optimizer, extra={})
    return folder


def test_an_export_replaces_a_checkpoint_and_nothing_else(run, tmp_path, monkeypatch):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a")
    before = sorted(path for path in tmp_path.rglob("*"))
    for target in (run, run.parent, tmp_path, run / ".." / "mine", run / "states"):
        with pytest.raises(RunError, match=r"is or contains the run mine|lies in the run mine"):
            export_newest(run, target)
    monkeypatch.chdir(run)
    with pytest.raises(RunError, match="is or contains the run mine"):
        export_newest(run, run.__class__("."))
    with pytest.raises(CheckpointError, match="notes holds files"):
        export_newest(run, tmp_path / "notes")
    with pytest.raises(CheckpointError, match=r"a\.txt is a file"):
        export_newest(run, tmp_path / "notes" / "a.txt")
    assert sorted(path for path in tmp_path.rglob("*")) == before
    for target in (tmp_path / "new", tmp_path / "new", run / "checkpoint"):
        assert open_checkpoint(export_newest(run, target)).about["step"] == 7


def test_an_export_before_the_first_save_says_when_that_is(run, tmp_path):
    shutil.rmtree(run / "states")
    with pytest.raises(RunError, match="mine has no whole state yet; train at least 40 steps"):
        export_newest(run, tmp_path / "new")


@pytest.fixture
def preferred(tmp_path, objective):
    """A run on preferences, which has no spelling head of its own, from a checkpoint that has one."""
    folder = tmp_path / "preferred"
    folder.mkdir()
    start = tmp_path / "start"
    save_checkpoint(
        objective.model, start, chat_format=mini_chat_format(), training=objective.heads()
    )
    stage = stages.dpo(steps=2, start="start")
    claim_folder(folder, stage, resume=False)
    module = Preference(objective.model, beta=0.1)
    save_state(folder, 1, module=module, optimizer=make_optimizer(module, stage), extra={})
    return folder


def test_a_head_of_the_start_is_handed_on_wherever_the_export_is_made(
    preferred, objective, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    note_start(preferred, open_origin(stages.dpo(start="start")).start)
    monkeypatch.chdir(preferred)
    said = []
    checkpoint = open_checkpoint(
        export_newest(preferred, tmp_path / "whole", on_message=said.append)
    )
    heads = checkpoint.training_tensors()
    assert all(heads[name].equal(head) for name, head in objective.heads().items())
    assert said == []
    assert "folder" not in checkpoint.about["start"], "where it lay on this machine"
    assert str(tmp_path) not in (checkpoint.directory / "about.json").read_text("utf-8")
    (tmp_path / "start").rename(tmp_path / "elsewhere")
    checkpoint = open_checkpoint(
        export_newest(preferred, tmp_path / "bare", on_message=said.append)
    )
    assert checkpoint.training_tensors() == {}
    assert said == [
        "the start of preferred is no longer there: the checkpoint has no spelling head, "
        "and a stage that goes on from it learns one anew"
    ]


def test_the_command_says_what_an_export_lacks(preferred, tmp_path, monkeypatch):
    note_start(preferred, {"name": "start", "hash": "of another one", "clips": 0})
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, ["export", str(preferred), str(tmp_path / "bare")])
    assert done.exit_code == 0, done.output
    assert (
        "the start of preferred is no longer there: the checkpoint has no spelling" in done.stderr
    )
    assert done.stdout == f"checkpoint: {tmp_path / 'bare'}\n"


def _hand_over(run, objective, said=None):
    return hand_over(
        run,
        STAGE,
        model=objective.model,
        heads={},
        chat_format=mini_chat_format(),
        processes=Processes(),
        hooks=Hooks(on_message=(said if said is not None else []).append),
    )


def test_a_stopped_run_claims_the_steps_that_it_made(run, objective):
    checkpoint = open_checkpoint(_hand_over(run, objective))
    assert checkpoint.about["step"] == 7
    assert checkpoint.about["clips"] == 1000 + 7 * 4
    card = (checkpoint.directory / "README.md").read_text("utf-8")
    assert "stopped after 7 of 40 steps" in " ".join(card.split())


def test_a_card_tells_of_another_precision(run, tmp_path):
    assert "--precision" not in (export_newest(run, tmp_path / "fp32") / "README.md").read_text()
    RunLog(run / "log.jsonl").write("run", step=7, stage=STAGE.to_dict(), precision="bf16")
    checkpoint = open_checkpoint(export_newest(run, tmp_path / "bf16"))
    assert checkpoint.about["precision"] == "bf16"
    assert "--precision bf16" in " ".join((checkpoint.directory / "README.md").read_text().split())


def test_a_run_without_a_step_makes_no_checkpoint(run, objective):
    (run / "log.jsonl").unlink()
    RunLog(run / "log.jsonl").write("end", step=0, finished=False)
    said = []
    assert _hand_over(run, objective, said) is None
    assert said == ["stopped before the first step: there is no checkpoint to write"]
    assert not (run / "checkpoint").exists()


@pytest.mark.parametrize("budget", ["full", "class"])
@pytest.mark.parametrize("start", ["own", None, "mini-x"])
@pytest.mark.parametrize("name", ["start", "pretrain", "sft", "dpo"])
def test_the_command_of_a_card_makes_the_same_run(name, start, budget, monkeypatch, tmp_path):
    """Parsed by the command line itself."""
    changes = CLASS_BUDGET[name] if budget == "class" else {}
    stage = getattr(stages, name)(**changes)
    stage = replace(stage, steps=17, accumulate=3, seed=4, learning_rate=1.234567e-4)
    stage = stage if start == "own" else replace(stage, start=start)
    if name == "pretrain":
        world = {"prompts": "tags", "engines": ("espeak", "flite")}
        stage = replace(stage, ramp=77, **(world if budget == "full" else {"level": "first"}))
    if name == "dpo":
        stage = replace(stage, beta=0.25, nll_weight=0.5)
    if name == "sft":
        rates = {"projector": 0.123456789, "decoder": 2.0}
        engines = ("espeak", "flite", "rhvoice") if budget == "full" else ("espeak", "rhvoice")
        stage = replace(
            stage, ramp=77, trains=("projector", "decoder"), rates=rates, engines=engines
        )
    seen = []
    monkeypatch.setattr(cli, "run_to_end", lambda *given: seen.append(given))
    monkeypatch.chdir(tmp_path)
    pair = {"prompt": "Hello", "chosen": "Hello!", "rejected": "No."}
    (tmp_path / "PAIRS").write_text(json.dumps(pair) + "\n", "utf-8")
    config = json.loads(json.dumps(stage.to_dict()))
    precision = "bf16" if budget == "full" else None
    pairs = PAIRS if name == "dpo" else None
    command = shlex.split(command_of(config, pairs, precision=precision))
    assert command[:2] == ["q2a", "train"]
    done = CliRunner().invoke(cli.app, command[2:])
    assert done.exit_code == 0, done.output
    [given] = seen
    assert given[0] == stage
    assert given[4] == (precision or "no")
    assert unsaid(config) == []
    if name == "dpo":
        asked = given[5].keywords
        assert (len(asked["pairs"]), asked["sampled"], asked["absent"]) == (1, 12, 5)


@pytest.mark.parametrize("name", sorted(set(paths.shipped_checkpoints()) - {"mini"}))
def test_a_shipped_card_is_what_its_checkpoint_says_of_itself(name):
    """The defaults of the options may change; the command of an earlier run must name what it needs all the same."""
    directory = paths.shipped_checkpoint(name)
    about = json.loads((directory / "about.json").read_text("utf-8"))
    assert (directory / "README.md").read_text("utf-8") == model_card(about)


@pytest.mark.parametrize("level", ["first", "grown"])
def test_what_is_said_of_clips_in_a_dialogue_holds_for_the_world(level, request):
    book = request.getfixturevalue("small_book" if level == "first" else "grown_book")
    corpus = Corpus(book, "train", seed=0, level=level, stage="sft")
    clips, turns = [], []
    for number in range(60):
        messages = corpus.example(number).task.messages
        parts = [part for message in messages[::2] for part in message["content"]]
        clips.append(sum(part["type"] == "audio" for part in parts))
        turns.append(len(messages) // 2)
    assert max(turns) > 1
    assert max(clips) == about_run(stages.sft(), step=1)["trained_clips"]


def test_a_card_names_what_no_option_sets():
    stage = replace(stages.sft(), warmup_steps=3)
    about = about_run(stage, step=stage.steps)
    card = " ".join(model_card(about).split())
    assert "with settings that no option has (warmup_steps 3)" in card
    assert "stopped" not in card
    assert about_run(stages.dpo(), step=1, pairs=PAIRS)["pairs"] == PAIRS


def test_a_card_tells_the_voices_of_the_start_too():
    dpo = stages.dpo()
    before = "synthetic voices (eSpeak NG, flite and RHVoice) and procedural sounds"
    assert trained_on(dpo) == "synthetic voices (eSpeak NG) and procedural sounds"
    assert trained_on(dpo, before=before) == before
