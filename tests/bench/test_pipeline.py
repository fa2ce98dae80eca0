"""The timings: no figure without agreement, the same work on both sides, and figures that mean what the table says."""

import copy
import json
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
import torch

import q2a_core
from q2a_core import paths
from q2a_core.bench import pair as pair_module
from q2a_core.bench.__main__ import main
from q2a_core.bench.gate import check_pair
from q2a_core.bench.pair import Pair, noise_clip, open_pair, our_prompt, our_tokens, their_prompt
from q2a_core.bench.pipeline import measure, run_pipeline
from q2a_core.bench.pipeline_rows import NEW_TOKENS
from q2a_core.bench.report import ROWS, Row, to_markdown
from q2a_core.bench.timing import TokenClock, alternate
from q2a_core.bench.training_step import make_batch, our_loss, their_loss, training_steps
from q2a_core.errors import Q2AError
from q2a_core.model import IGNORE_INDEX

ABSENT = [
    *("typer", "platformdirs", "scipy", "soundfile", "soxr", "librosa", "matplotlib", "accelerate"),
    *("jiwer", "streamlit", "IPython", "ipywidgets", "espeakng_loader", "av", "sklearn", "numba"),
]
"""What the project or its tests need, and a bare machine with torch and transformers lacks."""


@pytest.fixture(scope="module")
def pair(tiny_checkpoint: Path) -> Pair:
    return open_pair(tiny_checkpoint)


@pytest.fixture(scope="module")
def report(pair):
    return measure(pair, repeats=2)


def spoilt(pair: Pair, key: str, change) -> Pair:
    theirs = copy.deepcopy(pair.theirs)
    with torch.no_grad():
        change(dict(theirs.named_parameters())[key])
    return replace(pair, theirs=theirs)


def test_the_gate_finds_the_same_model_twice(pair):
    gate = check_pair(pair, seconds=1.0, new_tokens=12)
    assert gate["greedy_tokens"] == 12
    assert gate["mel"] < 1e-4
    assert gate["logits"] < 2e-4
    assert gate["loss"] < 1e-5


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("lm_head.weight", lambda weight: weight.mul_(1.01)),
        ("model.audio_tower.conv1.weight", lambda weight: weight.mul_(1.5)),
        ("model.multi_modal_projector.linear.bias", lambda bias: bias.add_(1.0)),
        ("model.language_model.norm.weight", lambda weight: weight[0].fill_(torch.nan)),
    ],
    ids=["head", "encoder", "projector", "nan"],
)
def test_wrong_weights_are_not_timed(key, change, pair):
    timed: list[int] = []
    with pytest.raises(
        Q2AError, match=r"^nothing was timed: the logits differs? from transformers'"
    ):
        measure(
            spoilt(pair, key, change), repeats=1, on_progress=lambda done, _: timed.append(done)
        )
    assert timed == []


def test_another_front_end_or_template_is_not_timed(pair):
    processor = copy.deepcopy(pair.processor)
    processor.chat_template = processor.chat_template.replace("Audio ", "Clip ")
    with pytest.raises(Q2AError, match="nothing was timed: the prompt is"):
        check_pair(replace(pair, processor=processor), seconds=1.0, new_tokens=4)
    processor = copy.deepcopy(pair.processor)
    processor.feature_extractor.mel_filters = processor.feature_extractor.mel_filters * 1.01
    with pytest.raises(Q2AError, match="nothing was timed: the log-mel differs"):
        check_pair(replace(pair, processor=processor), seconds=1.0, new_tokens=4)


def test_tokens_that_differ_without_a_tie_are_refused(pair, monkeypatch):
    prompt = our_prompt(pair, noise_clip(1.0))
    right = list(our_tokens(pair, prompt, new_tokens=4))
    assert len(right) == 4
    wrong = [*right[:2], right[2] + 1, right[3]]
    monkeypatch.setattr("q2a_core.bench.gate.their_tokens", lambda *_, **__: wrong)
    with pytest.raises(Q2AError, match=r"greedy token 3 differs .* apart"):
        check_pair(pair, seconds=1.0, new_tokens=4)


def test_both_sides_get_the_same_question(pair):
    samples = noise_clip(1.0)
    ours, theirs = our_prompt(pair, samples), their_prompt(pair, samples)
    assert torch.equal(ours["input_ids"], theirs["input_ids"])
    assert int((ours["input_ids"] == pair.model.config.audio_token_id).sum()) == 25
    assert ours["mel"].shape[2] < theirs["input_features"].shape[2], "we pad nothing"


def test_both_sides_are_trained_on_the_same_loss(pair):
    batch = make_batch(pair, batch_size=3, seconds=0.8)
    with torch.inference_mode():
        ours, theirs = our_loss(pair.model, batch), their_loss(pair.theirs, batch)
        plain = pair.model(
            batch.input_ids, mel=batch.mel, mel_lengths=batch.mel_lengths, labels=batch.labels
        ).loss
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=0)
    counted = batch.labels[0][batch.labels[0] != IGNORE_INDEX].tolist()
    assert pair.chat_format.tokenizer.decode(counted) == pair_module.ANSWER


def test_a_training_step_moves_copies_only(pair):
    before = [p.clone() for p in (*pair.model.parameters(), *pair.theirs.parameters())]
    batch = make_batch(pair, batch_size=2, seconds=0.5)
    ours, theirs = training_steps(pair, batch)
    ours()
    theirs()
    after = [*pair.model.parameters(), *pair.theirs.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not pair.model.training


def test_the_report_is_whole(report, pair):
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    names = [row["name"] for row in report["rows"]]
    assert names == [
        *("first_token", "decode", "train", "mel_3s", "mel_5s"),
        *("encoder_3s", "encoder_5s", "ragged"),
    ]
    assert report["gate"]["greedy_tokens"] == NEW_TOKENS
    assert report["checkpoint"] == {"name": "tiny", "hash": pair.hash}
    assert {"processor", "cores", "threads", "torch", "transformers"} <= set(report["machine"])
    for row in report["rows"]:
        runs = row["runs"]
        assert len(runs["ours"]) == len(runs["other"]) >= 2
        assert row["ours"] == median(runs["ours"]) > 0
        assert row["ratio_lowest"] <= row["ratio_highest"]
        beside = {"ragged": "one by one", "encoder_3s": "its blocks alone"}
        beside["encoder_5s"] = beside["encoder_3s"]
        assert row["against"] == beside.get(row["name"], "transformers")


def test_the_table_shows_every_row(report):
    lines = to_markdown(report).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(report["rows"])
    assert {line.count("|") for line in table} == {6}
    assert report["checkpoint"]["hash"] in lines[0]
    assert f"transformers {report['machine']['transformers']}" in lines[0]
    assert any("window is 5 s" in line for line in lines)


@pytest.mark.parametrize(
    ("row", "ratio", "lowest", "highest", "met"),
    [
        ({"unit": "s", "ours": [1.0, 3.0, 2.0], "other": [8.0, 6.0, 12.0]}, 4, 2, 8, None),
        ({"unit": "s", "ours": [1.0], "other": [6.0], "at_least": 6.0}, 6, 6, 6, True),
        (
            {"unit": "tokens/s", "ours": [30.0], "other": [20.0], "at_least": 2.0},
            1.5,
            1.5,
            1.5,
            False,
        ),
        ({"unit": "s", "ours": [1.3], "other": [1.0], "at_most": 1.2}, 1.3, 1.3, 1.3, False),
        ({"unit": "s", "ours": [0.9], "other": [1.0], "at_most": 1.2}, 0.9, 0.9, 0.9, True),
    ],
    ids=["seconds", "bar met", "rate", "cost too high", "cost"],
)
def test_ratios_say_how_many_times_better(row, ratio, lowest, highest, met):
    record = Row(name="x", what="x", **row).to_dict()
    assert record["ratio"] == pytest.approx(ratio)
    assert record["ratio_lowest"] == pytest.approx(lowest)
    assert record["ratio_highest"] == pytest.approx(highest)
    assert record["met"] is met


def test_sides_run_turn_about_and_the_first_round_does_not_count():
    calls: list[str] = []

    def side(name: str):
        return lambda: calls.append(name) or float(len(calls))

    ticks: list[int] = []
    ours, other = alternate(
        side("a"), side("b"), rounds=4, tick=lambda: ticks.append(len(calls)), every=2, settle=0
    )
    assert "".join(calls) == "ab" + "baab" * 2
    assert ours == [4.0, 5.0, 8.0, 9.0]
    assert other == [3.0, 6.0, 7.0, 10.0]
    assert ticks == [2, 6, 10]


def test_each_figure_follows_a_call_of_its_own_side():
    calls: list[str] = []

    def side(name: str):
        return lambda: calls.append(name) or float(len(calls))

    ours, other = alternate(side("a"), side("b"), rounds=2, tick=lambda: None)
    assert "".join(calls) == "aabb" + "bbaa" + "aabb"
    assert (ours, other) == ([8.0, 10.0], [6.0, 12.0])


def test_decoding_is_timed_from_the_first_token():
    clock = TokenClock(skip=1)
    clock.times = [0.0, 10.0, 10.5, 11.0, 11.5, 12.0]
    assert clock.rate == pytest.approx(2.0)


def test_progress_reaches_its_end(pair):
    heard: list[tuple[int, int]] = []
    only = ["mel", "decode"]
    rows = measure(pair, repeats=1, only=only, on_progress=lambda *now: heard.append(now))["rows"]
    assert [row["name"] for row in rows] == ["decode", "mel_3s", "mel_5s"]
    assert [done for done, _ in heard] == list(range(1, len(heard) + 1))
    assert {total for _, total in heard} == {len(heard)}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"only": ["decode", "speed"]}, "no row is called 'speed'; known: first_token"),
        ({"only": []}, "known: first_token"),
        ({"repeats": 0}, "repeats is 0; expected at least 1"),
        ({"threads": 0}, "threads is 0; expected 1 to 1024"),
        ({"checkpoint": "no such thing"}, "no checkpoint 'no such thing'"),
    ],
    ids=["row", "no row", "repeats", "threads", "checkpoint"],
)
def test_misuse_gets_a_sentence(options, sentence):
    with pytest.raises(Q2AError, match=sentence):
        run_pipeline(**({"checkpoint": None} | options))


def test_without_transformers_there_is_a_sentence(tiny_checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(Q2AError, match="pip install transformers"):
        open_pair(tiny_checkpoint)


@pytest.mark.parametrize("outcome", ["report", "error"])
def test_threads_are_set_for_the_run_alone(outcome, pair, monkeypatch):
    """Without measuring: more threads than cores make a busy machine crawl."""
    before, during = torch.get_num_threads(), []

    def stand_in(*_, **__):
        during.append(torch.get_num_threads())
        if outcome == "error":
            raise Q2AError("as planned")
        return {}

    monkeypatch.setattr("q2a_core.bench.pipeline.open_pair", lambda source: pair)
    monkeypatch.setattr("q2a_core.bench.pipeline.measure", stand_in)
    with pytest.raises(Q2AError) if outcome == "error" else nullcontext():
        run_pipeline(threads=before + 1)
    assert during == [before + 1]
    assert torch.get_num_threads() == before


def test_random_mini_weights_stand_in_and_are_always_the_same(monkeypatch):
    monkeypatch.setattr(paths, "shipped_checkpoints", dict)
    pair = open_pair("mini")
    assert pair.name.startswith("random weights")
    assert pair.window_seconds == 30
    theirs = pair.theirs.lm_head.weight
    assert torch.equal(theirs, pair.model.decoder.lm_head.weight)
    assert pair.hash == open_pair(None).hash


def test_the_command_writes_what_it_prints(tiny_checkpoint, tmp_path, capsys):
    target = tmp_path / "out.json"
    options = ["--checkpoint", str(tiny_checkpoint), "--repeats", "1"]
    assert main([*options, "--only", "mel", "--json", str(target)]) == 0
    printed = capsys.readouterr()
    assert printed.out.strip() == to_markdown(json.loads(target.read_text("utf-8")))
    assert "measuring" in printed.err
    assert main([*options, "--only", "speed"]) == 2
    assert capsys.readouterr().err.startswith("q2a_core.bench: no row is called 'speed'")
    assert main([*options, "--only", "mel", "--json", str(tmp_path)]) == 2


def test_five_packages_are_enough(tiny_checkpoint):
    """As on a bare machine: what the project needs besides these cannot be imported."""
    arguments = ["--checkpoint", str(tiny_checkpoint), "--only", "decode", "--repeats", "1"]
    program = (
        f"import sys\nsys.modules.update(dict.fromkeys({ABSENT!r}))\n"
        f"from q2a_core.bench.__main__ import main\nsys.exit(main({arguments!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={"PYTHONPATH": str(Path(q2a_core.__file__).parents[1]), "SYSTEMROOT": "C:\\Windows"},
    )
    assert done.returncode == 0, done.stderr
    assert "tokens/s" in done.stdout


def test_the_rows_are_named_where_help_can_find_them_without_torch():
    program = (
        "import sys, q2a_core.bench.report, q2a_core.bench.__main__; print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(q2a_core.__file__).parents[1]), "SYSTEMROOT": "C:\\Windows"},
    )
    assert done.stdout.split() == ["False"]
    assert ROWS == ("first_token", "decode", "train", "mel", "encoder", "ragged")
