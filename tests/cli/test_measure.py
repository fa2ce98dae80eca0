"""What `q2a eval` and `q2a bench` refuse before they start, and what they say of how they asked."""

import json

import pytest

from q2a_core.bench import everything
from q2a_core.evaluation import mini_table, runner

SCORE = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 3}
REPORT = {
    "checkpoint": {"name": "tiny", "hash": "0" * 12},
    "conditions": {"split": "test", "decoding": "greedy"},
    "rows": [{"suite": "a", "metric": "accuracy", "score": SCORE, "control": SCORE}],
    "examples": [],
}


@pytest.fixture
def begun(monkeypatch):
    """Nothing is measured; the calls are kept."""
    calls = []

    def measure(*_, **options):
        calls.append(options)
        return REPORT

    monkeypatch.setattr(runner, "evaluate", measure)
    monkeypatch.setattr(mini_table, "evaluate_mini", measure)
    monkeypatch.setattr(everything, "run_bench", measure)
    monkeypatch.setattr(runner, "to_markdown", lambda report: "a table")
    monkeypatch.setattr(everything, "to_markdown", lambda report: "a table")
    return calls


@pytest.mark.parametrize("command", ["eval", "bench"])
@pytest.mark.parametrize(
    ("place", "says"), [("none/r.json", "make it first"), (".", "is a folder; expected the name")]
)
def test_a_place_for_the_report_is_looked_at_first(
    q2a, tmp_path, tiny_checkpoint, begun, command, place, says
):
    options = ["--model", tiny_checkpoint, "--output", tmp_path / place]
    code, out, err = q2a(command, *options)
    assert (code, out, begun) == (2, "", [])
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("other", ["--manifest", "--replies", "--readme"])
def test_no_file_is_both_read_and_written(q2a, tmp_path, tiny_checkpoint, begun, other):
    mine = tmp_path / "m.jsonl"
    mine.write_text("my truth", "utf-8")
    options = ["--clips", tmp_path, "--manifest", mine] if other == "--manifest" else [other, mine]
    code, out, err = q2a("eval", "--model", tiny_checkpoint, "--output", mine, *options)
    assert (code, out, begun) == (2, "", [])
    first, second = sorted(
        (other, "--output"), key=["--manifest", "--replies", "--output", "--readme"].index
    )
    assert f"m.jsonl is given for {first} and for {second}" in err
    assert mine.read_text("utf-8") == "my truth"


def test_a_readme_without_marks_is_refused_first(q2a, tmp_path, tiny_checkpoint, begun):
    (tmp_path / "README.md").write_text("no marks here", "utf-8")
    code, out, err = q2a("eval", "--model", tiny_checkpoint, "--readme", tmp_path / "README.md")
    assert (code, out, begun) == (2, "", [])
    assert "once each, in this order" in err


@pytest.mark.parametrize("command", ["eval", "bench"])
def test_a_report_that_cannot_be_written_was_printed(
    q2a, tmp_path, tiny_checkpoint, begun, monkeypatch, command
):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    options = ["--model", tiny_checkpoint, "--output", tmp_path / "r.json"]
    code, out, err = q2a(command, *options)
    assert (code, out) == (2, "a table\n")
    assert "No space left on device; the result stands above" in err


def test_a_report_is_printed_and_written(q2a, tmp_path, tiny_checkpoint, begun):
    path = tmp_path / "r.json"
    assert q2a("eval", "--model", tiny_checkpoint, "--output", path, "--json")[0] == 0
    assert json.loads(path.read_text("utf-8")) == REPORT


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--clips", ".", "--manifest", "m", "--suite", "mini"], "leave out --suite and --count"),
        (["--clips", ".", "--manifest", "m", "--count", "5"], "leave out --suite and --count"),
        (["--suite", "first", "--replies", "r.jsonl"], "keep no replies; leave out --replies"),
        (["--replies", "r.jsonl"], "keep no replies; leave out --replies"),
    ],
)
def test_options_that_would_be_dropped_are_refused(q2a, tiny_checkpoint, begun, options, says):
    code, out, err = q2a("eval", "--model", tiny_checkpoint, *options)
    assert (code, out, begun) == (2, "", [])
    assert says in err


@pytest.mark.parametrize(
    ("options", "prompts"),
    [
        (["--suite", "mini"], "the official wording, or one that training never saw"),
        (["--only", "emotion"], "the official wording, or one that training never saw"),
        (["--suite", "prompts"], "wordings that training has; for unseen paraphrases wordings"),
    ],
)
def test_the_report_says_how_the_suites_ask(q2a, tiny_checkpoint, begun, options, prompts):
    assert q2a("eval", "--model", tiny_checkpoint, *options)[0] == 0
    assert begun[0]["prompts"].startswith(prompts)
