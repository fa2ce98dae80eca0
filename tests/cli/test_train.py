"""The stages from the command line, one after the other, each from the checkpoint of the one before."""

import json
import signal

import pytest

from q2a_core.checkpoint import open_checkpoint
from q2a_core.cli import main
from q2a_core.training.runs.runlog import read_log

SMALL = ("--batch-size", "2", "--workers", "0")
SPOKEN = ("--utterances", "100")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A place of its own for speech and runs, shared by the tests below."""
    pytest.importorskip("espeakng_loader")
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def q2a(home, monkeypatch, capsys):
    monkeypatch.setenv("Q2A_HOME", str(home))

    def run(*arguments) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["q2a", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def test_start_pretrain_sft_and_dpo_follow_each_other(q2a, home):
    code, said = q2a("train", "start", "--run", home / "a", "--steps", 1, *SMALL, *SPOKEN)
    assert code == 0, said
    assert "projector 0.02 M frozen" in said
    begun = ("--start", home / "a" / "checkpoint")
    code, said = q2a(
        "train", "pretrain", "--run", home / "b", "--steps", 1, *begun, *SMALL, *SPOKEN
    )
    assert code == 0, said
    begun = ("--start", home / "b" / "checkpoint")
    code, said = q2a("train", "sft", "--run", home / "c", "--steps", 1, *begun, *SMALL, *SPOKEN)
    assert code == 0, said
    pairs = home / "pairs.jsonl"
    pair = {"prompt": "Hello", "chosen": "Hello! Play me a sound.", "rejected": "No."}
    pairs.write_text(json.dumps(pair) + "\n", "utf-8")
    begun = ("--start", home / "c" / "checkpoint", "--pairs", pairs, "--sampled", "0")
    code, said = q2a("train", "dpo", "--run", home / "d", "--steps", 2, *begun, *SMALL)
    assert code == 0, said
    assert "audio_encoder 1.62 M frozen" in said
    assert read_log(home / "d" / "log.jsonl")[0]["pairs"] == 1, "none that were not asked for"
    checkpoint = open_checkpoint(home / "d" / "checkpoint")
    assert checkpoint.about["stage"] == "dpo"
    assert checkpoint.about["start"]["hash"] == open_checkpoint(home / "c" / "checkpoint").hash
    heads = checkpoint.training_tensors()
    before = open_checkpoint(home / "c" / "checkpoint").training_tensors()
    assert set(heads) == {"spelling_head.linear.weight", "spelling_head.linear.bias"}
    assert all(heads[name].equal(before[name]) for name in heads), "handed on by a stage without it"
    card = (home / "d" / "checkpoint" / "README.md").read_text("utf-8")
    assert "q2a train dpo" in card
    log = read_log(home / "d" / "log.jsonl")
    shipped = read_log(home / "d" / "checkpoint" / "training" / "log.jsonl")
    assert shipped[1:] == log[1:]
    assert shipped[0]["stage"]["start"] == "checkpoint", "a name, and not where it lay"
    step = [line for line in log if line["kind"] == "step"][-1]
    assert {"loss", "accuracy", "margin", "chosen", "rejected", "kl"} <= set(step)


def test_a_taken_folder_and_bad_pairs_are_told_in_one_line(q2a, home, tmp_path):
    (tmp_path / "pairs.jsonl").write_text('{"chosen": "a"}\n', "utf-8")
    code, said = q2a("train", "dpo", "--run", tmp_path / "d", "--pairs", tmp_path / "pairs.jsonl")
    assert code == 2
    assert "line 1" in said
    assert "Traceback" not in said
    code, said = q2a("train", "sft", "--run", tmp_path / "x", "--start", tmp_path / "nowhere")
    assert code == 2
    assert len(said.strip().splitlines()) == 1


def test_the_class_budget_is_small_and_gives_way_to_what_is_set():
    from q2a_core.cli.train_run import configured
    from q2a_core.training.stages import CLASS_BUDGET, sft

    small = configured(sft, "class", utterances=None)
    assert small.steps == CLASS_BUDGET["sft"]["steps"]
    assert small.utterances == CLASS_BUDGET["sft"]["utterances"]
    assert configured(sft, "class", steps=7, utterances=500).steps == 7
    assert configured(sft, "class", utterances=12_000).utterances == 12_000
    assert configured(sft, "full", utterances=None, batch_size=None) == sft()


def test_fresh_weights_are_a_start_too():
    from q2a_core.cli.train_run import configured
    from q2a_core.training.stages import CLASS_BUDGET, pretrain

    assert configured(pretrain, "class").start == CLASS_BUDGET["pretrain"]["start"]
    assert configured(pretrain, "class", start="fresh").start is None
    assert configured(pretrain, "class", start="mini-pretrain").start == "mini-pretrain"


@pytest.mark.parametrize(
    ("options", "sampled", "absent"),
    [
        ((), 800, 250),
        (("--budget", "class"), 110, 24),
        (("--sampled", "0"), 0, 0),
        (("--sampled", "5", "--absent", "7"), 5, 7),
        (("--sampled", "0", "--absent", "7"), 0, 7),
    ],
)
def test_the_pairs_of_dpo_are_those_that_were_asked_for(
    q2a, home, monkeypatch, options, sampled, absent
):
    from q2a_core.training import run

    given = {}

    def run_dpo(stage, folder, **rest):
        given.update(rest)
        return folder / "checkpoint"

    monkeypatch.setattr(run, "run_dpo", run_dpo)
    code, said = q2a("train", "dpo", "--run", home / "e", *options)
    assert code == 0, said
    assert (given["sampled"], given["absent"]) == (sampled, absent)


def test_sampled_none_without_other_pairs_is_refused_at_once(q2a, home):
    code, said = q2a("train", "dpo", "--run", home / "f", "--sampled", 0, "--start", "mini-sft")
    assert code == 2
    assert "no preference pairs" in said
    assert "--pairs" in said


def test_a_seed_below_zero_and_a_rate_of_zero_are_refused(q2a, home):
    code, said = q2a("train", "sft", "--run", home / "g", "--seed", -1)
    assert code == 2
    assert "--seed" in said
    for rate in ("0", "inf"):
        code, said = q2a("train", "sft", "--run", home / "g", "--learning-rate", rate)
        assert code == 2
        assert said == f"q2a: learning_rate is {float(rate)}; expected a number over 0\n"


def test_a_run_in_the_place_of_a_file_is_refused_in_one_line(q2a, tmp_path):
    (tmp_path / "file").write_text("")
    code, said = q2a("train", "sft", "--run", tmp_path / "file")
    assert code == 2
    assert said == "q2a: file is a file; expected the name of a folder for the run\n"


def test_an_empty_name_of_a_run_is_not_the_working_directory(q2a, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said = q2a("train", "sft", "--run", "", "--steps", 1)
    assert code == 2
    assert "the path is empty; expected a folder" in said
    assert not list(tmp_path.iterdir())


def _press() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("presses", "code", "said"),
    [
        ((1, 0), 130, "q2a: stopped before the training began"),
        ((0, 1), 0, "stopped early; go on with --resume"),
        ((0, 2), 130, "q2a: stopped at once; go on with --resume"),
    ],
    ids=["while preparing", "while training", "twice"],
)
def test_an_interrupt_acts_when_it_can(q2a, home, monkeypatch, presses, code, said):
    from q2a_core.training import run

    def run_stage(stage, folder, *, hooks, **rest):
        for _ in range(presses[0]):
            _press()
        hooks.on_begin()
        for _ in range(presses[1]):
            _press()
        assert hooks.should_stop()
        return folder / "checkpoint"

    monkeypatch.setattr(run, "run_stage", run_stage)
    before = signal.getsignal(signal.SIGINT)
    found, printed = q2a("train", "sft", "--run", home / "h")
    assert found == code
    lines = [line for line in printed.splitlines() if not line.startswith(("speech:", "sft:"))]
    assert lines[-1].startswith(said)
    assert "Traceback" not in printed
    assert signal.getsignal(signal.SIGINT) is before
