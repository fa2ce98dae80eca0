"""What `q2a eval` and `q2a bench` refuse before they start, and what they say of how they asked."""

import json

import pytest

from q2a_core.bench import everything
from q2a_core.cli import eval_run
from q2a_core.errors import Q2AError
from q2a_core.evaluation import first_world, mini_table
from q2a_core.evaluation.replies import ReplyKey, ReplyStore

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

    monkeypatch.setattr(first_world, "evaluate", measure)
    monkeypatch.setattr(mini_table, "evaluate_mini", measure)
    monkeypatch.setattr(everything, "run_bench", measure)
    monkeypatch.setattr(first_world, "to_markdown", lambda report: "a table")
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


def test_a_picture_is_not_drawn_over_the_report(q2a, tmp_path, begun):
    both = tmp_path / "x.svg"
    code, out, err = q2a("bench", "--only", "growth", "--plot", both, "--output", both)
    assert (code, out, begun) == (2, "", [])
    assert "x.svg is given for --output and for --plot" in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--judge-url", "http://x/v1"], "--judge-url and --judge-model go together"),
        (["--judge-url", "x", "--judge-model", "m"], "the judge's base URL cannot be used"),
        (
            ["--judge-url", "http://x/v1", "--judge-model", "m", "--judge-key", "NO_SUCH_KEY"],
            "the environment variable NO_SUCH_KEY is empty",
        ),
        (
            ["--judge-url", "http://x/v1", "--judge-model", "m", "--suite", "first"],
            "marks the chat suites of the mini Table 2",
        ),
    ],
)
def test_an_outside_judge_is_looked_at_before_anything_is_asked(
    q2a, tiny_checkpoint, begun, options, says
):
    code, out, err = q2a("eval", "--model", tiny_checkpoint, *options)
    assert (code, out, begun) == (2, "", [])
    assert says in err


def test_replies_are_kept_in_no_other_file(q2a, tmp_path, tiny_checkpoint, begun):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(REPORT, indent=1), "utf-8")
    code, out, err = q2a("eval", "--model", tiny_checkpoint, "--suite", "mini", "--replies", path)
    assert (code, out, begun) == (2, "", [])
    assert "results.json begins with '{'" in err
    assert json.loads(path.read_text("utf-8")) == REPORT


def test_lines_that_are_no_replies_are_told(q2a, tmp_path, tiny_checkpoint, begun):
    path = tmp_path / "replies.jsonl"
    key = ReplyKey(checkpoint="c", suite="s", item="0", prompt="p", decoding="d")
    ReplyStore(path).put(key, "yes")
    path.write_bytes(path.read_bytes() + b"rubbish\n")
    options = ["--model", tiny_checkpoint, "--suite", "mini", "--replies", path]
    code, _, err = q2a("eval", *options)
    assert code == 0
    assert "note: replies.jsonl: lines that hold no whole reply, and were skipped: 1\n" in err


def test_a_judge_that_fails_loses_no_result(q2a, tiny_checkpoint, begun, monkeypatch, tmp_path):
    def fails(*_, **__):
        raise Q2AError("the judge does not answer")

    monkeypatch.setattr(eval_run, "mark_chats", fails)
    options = ["--judge-url", "http://x/v1", "--judge-model", "m", "--suite", "mini"]
    code, out, err = q2a(
        "eval", "--model", tiny_checkpoint, *options, "--output", tmp_path / "r.json"
    )
    assert code == 2
    assert "the judge does not answer" in err
    assert "| a | accuracy |" in out
    assert json.loads((tmp_path / "r.json").read_text("utf-8")) == REPORT


def test_two_reports_are_compared(q2a, tmp_path):
    for name, hits in (("a", [0, 1, 2]), ("b", [])):
        row = {"suite": "false yes", "metric": "share of yes", "score": SCORE, "hits": hits}
        (tmp_path / name).write_text(json.dumps(REPORT | {"rows": [row]}), "utf-8")
    code, out, err = q2a("compare", tmp_path / "a", tmp_path / "b")
    assert (code, err) == (0, "")
    assert "| false yes | said yes | 3 | 0 | 3 | 0 | 3 | 0.25 |" in out
    code, out, err = q2a("compare", tmp_path / "a", tmp_path / "a")
    assert (code, out) == (2, "")
    assert "expected two different files" in err


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

    (tmp_path / "r.json").write_text("an earlier report")
    monkeypatch.setattr("os.fsync", full)
    options = ["--model", tiny_checkpoint, "--output", tmp_path / "r.json"]
    code, out, err = q2a(command, *options)
    assert (code, out) == (2, "a table\n")
    assert "No space left on device; the result stands above" in err
    assert (tmp_path / "r.json").read_text() == "an earlier report"


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
