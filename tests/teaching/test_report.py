"""The one-page report: every figure of the record with its conditions, and nothing of other weights."""

import copy
import json
import re
import shutil

import pytest

from q2a_core.checkpoint import open_checkpoint
from q2a_core.errors import Q2AError
from q2a_core.teaching.page import Page, Section, Table, Verbatim
from q2a_core.teaching.report import above_control, report_page, subject_of, write_report


def score(value, low, high, n=20):
    return {"value": value, "low": low, "high": high, "n": n}


@pytest.fixture
def record(tiny_checkpoint):
    """An evaluation of the tiny checkpoint, made up."""
    checkpoint = open_checkpoint(tiny_checkpoint)
    return {
        "checkpoint": {"name": checkpoint.name, "hash": checkpoint.hash},
        "conditions": {"split": "test", "decoding": "greedy", "seeds": {"recognition": 201}},
        "rows": [
            {
                "suite": "recognition",
                "metric": "WER",
                "score": score(0.25, 0.1, 0.4),
                "control": score(1.2, 0.9, 1.5, 10),
            },
            {
                "suite": "everyday sound",
                "metric": "accuracy",
                "score": score(0.6, 0.4, 0.8, 17),
                "control": score(0.5, 0.3, 0.7, 10),
            },
            {
                "suite": "bare",
                "metric": "BLEU",
                "score": score(31.5, 20.0, 40.0) | {"signature": "nrefs:1|tok:13a"},
            },
        ],
        "examples": [
            {
                "suite": "recognition",
                "clip": 1,
                "question": "What?",
                "true": "a dog",
                "reply": "a | *cat*",
            },
            {
                "suite": "everyday sound",
                "clip": 1,
                "question": None,
                "true": "bell",
                "reply": "bell",
            },
        ],
    }


def test_every_figure_stands_there_with_its_conditions(record, tiny_checkpoint):
    text = report_page(record, tiny_checkpoint).markdown()
    assert "| recognition | WER | 25.0% | 10.0% to 40.0% | 20 | 120.0% | yes |" in text
    assert "| everyday sound | accuracy | 60.0% | 40.0% to 80.0% | 17 | 50.0% | not shown |" in text
    assert "| bare | BLEU | 31.5 | 20.0 to 40.0 | 20 | not asked |  |" in text
    assert "In 1 of 2 suites with a control" in text
    assert "Without a control: bare." in text
    assert "smallest suite has 17 clips" in text
    assert "| seeds | recognition 201 |" in text
    assert "nrefs:1\\|tok:13a" in text
    assert "1 of the 2 kept replies" in text
    assert record["checkpoint"]["hash"] in text
    assert "No training log" in text


def test_what_a_model_says_is_no_markup(record, tiny_checkpoint):
    page = report_page(record, tiny_checkpoint)
    assert "a \\| \\*cat\\*" in page.markdown()
    record["examples"][0]["reply"] = "<script>alert(1)</script>"
    assert "<script>" not in report_page(record, tiny_checkpoint).html()
    assert "&lt;script&gt;" in report_page(record, tiny_checkpoint).html()


def places_in(value, path=()):
    """Every place in a nested record."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield (*path, key)
        if isinstance(value[key], dict | list):
            yield from places_in(value[key], (*path, key))


def test_a_damaged_record_is_one_sentence(record, tiny_checkpoint):
    refused = 0
    for *path, key in list(places_in(record)):
        for damage in ("gone", None, 7, "x", [], {}):
            damaged = copy.deepcopy(record)
            owner = damaged
            for step in path:
                owner = owner[step]
            if damage == "gone":
                del owner[key]
            else:
                owner[key] = damage
            try:
                page = report_page(damaged, tiny_checkpoint)
                assert page.markdown()
                assert page.html()
            except Q2AError:
                refused += 1
    assert refused > 100


def test_a_record_of_other_weights_is_refused(record, tiny_checkpoint):
    other = copy.deepcopy(record)
    other["checkpoint"]["hash"] = "0" * 12
    with pytest.raises(Q2AError, match="the record is about weights 000000000000"):
        report_page(other, tiny_checkpoint)
    for garbage in ({}, {"checkpoint": None}, {"checkpoint": record["checkpoint"], "rows": [{}]}):
        with pytest.raises(Q2AError, match="no evaluation record"):
            report_page(garbage, tiny_checkpoint)
    with pytest.raises(Q2AError, match="has no rows"):
        report_page({**record, "rows": []}, tiny_checkpoint)


def test_a_run_of_ones_own_brings_its_curve(record, tiny_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))
    run = tmp_path / "runs" / "sft-1"
    run.mkdir(parents=True)
    losses = [3.0, 2.5, 2.0, 1.0, 0.75, 0.5]
    lines = [{"kind": "run", "step": 0, "stage": {"steps": 60, "seed": 4, "learning_rate": 0.001}}]
    lines += [{"kind": "step", "step": 10 * (i + 1), "loss": x} for i, x in enumerate(losses)]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(Q2AError, match="sft-1 has no checkpoint yet"):
        subject_of("sft-1")
    shutil.copytree(tiny_checkpoint, run / "checkpoint")
    for source in ("sft-1", run):
        text = report_page(record, source).markdown()
        assert "loss: 2.500 at steps 10 to 30, 0.750 at steps 40 to 60 (medians of 3 lines" in text
        assert "| learning rate | 0.001 |" in text
    markdown, page = write_report(record, "sft-1")
    assert markdown.parent == tmp_path / "lessons"
    assert markdown.read_text("utf-8") == report_page(record, "sft-1").markdown()
    assert page.read_text("utf-8").startswith("<!doctype html>")


def test_a_folder_that_cannot_be_written_is_one_sentence(record, tiny_checkpoint, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Q2AError, match="the report cannot be written"):
        write_report(record, tiny_checkpoint, folder=tmp_path / "file")


def test_a_shipped_checkpoint_can_be_reported_from_its_shipped_results():
    from q2a_core import paths

    for name, directory in paths.shipped_checkpoints().items():
        if (directory / "results.json").is_file():
            shipped = json.loads((directory / "results.json").read_text("utf-8"))
            text = report_page(shipped, name).markdown()
            assert "at steps" in text
            rows = re.findall(
                r"^\| .+ \| (?:WER|CER|BLEU|accuracy|share of yes|judge 0-10) \| ", text, re.M
            )
            assert len(rows) == len(shipped["rows"])


def test_lower_is_better_turns_the_comparison_round():
    row = {
        "suite": "x",
        "metric": "WER",
        "score": score(0.2, 0.1, 0.3),
        "control": score(0.9, 0.8, 1),
    }
    assert above_control(row) is True
    assert above_control({**row, "metric": "accuracy"}) is False
    assert above_control({**row, "metric": "share of yes"}) is True
    assert above_control({**row, "control": None}) is None
    assert above_control({**row, "control": score(float("nan"), float("nan"), 1)}) is None


def test_a_page_is_the_same_in_both_forms():
    page = Page(
        title="A & B",
        sections=(
            Section(heading="One", parts=("text", Table(header=("a", "b"), rows=(("1", "<2>"),)))),
            Section(heading="Two", parts=(Verbatim(text='{"x": 1}'),)),
        ),
    )
    assert "| a | b |\n| --- | --- |\n| 1 | \\<2\\> |" in page.markdown()
    assert '```\n{"x": 1}\n```' in page.markdown()
    assert "<td>&lt;2&gt;</td>" in page.html()
    assert "<h1>A &amp; B</h1>" in page.html()
