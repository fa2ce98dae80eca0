"""Reports side by side: the figures as the shipped tables print them, and what the intervals allow to say."""

import json

import pytest

from q2a_core import paths
from q2a_core.evaluation.stage_results import shipped_results, side_by_side


def report(name: str, **rows: tuple[str, float, float, float]) -> dict:
    return {
        "checkpoint": {"name": name, "hash": "0" * 12},
        "rows": [
            {"suite": s, "metric": m, "score": {"value": v, "low": a, "high": b, "n": 80}}
            for s, (m, v, a, b) in rows.items()
        ],
    }


def test_verdicts_follow_the_intervals_and_the_direction_of_the_metric():
    one = report("a", words=("WER", 0.5, 0.4, 0.6), sounds=("accuracy", 0.5, 0.4, 0.6))
    two = report("b", words=("WER", 0.2, 0.1, 0.3), sounds=("accuracy", 0.2, 0.1, 0.3))
    words, sounds = side_by_side([one, two])
    assert [figure.verdict for figure in words.figures] == ["", "better"]
    assert [figure.verdict for figure in sounds.figures] == ["", "worse"]
    [said] = side_by_side(
        [
            report("a", yes=("share of yes", 0.04, 0.03, 0.05)),
            report("b", yes=("share of yes", 0.3, 0.25, 0.35)),
        ]
    )
    assert said.figures[1].verdict == "worse"
    near = report("c", words=("WER", 0.35, 0.3, 0.4))
    words, sounds = side_by_side([one, near, two])
    assert [figure.verdict for figure in words.figures] == ["", *["within the intervals"] * 2]
    assert sounds.figures[1] is None
    assert sounds.figures[2].verdict == "worse", "against the last that was asked"
    assert words.figures[0].text == "50.0%"
    assert words.figures[0].interval == "40.0% to 60.0%"


def test_what_has_no_figure_says_none():
    nothing = report("a", judge=("judge 0-10", float("nan"), float("nan"), float("nan")))
    [row] = side_by_side([nothing, None, report("b", judge=("judge 0-10", 6.5, 6.0, 7.0))])
    assert (row.figures[0].text, row.figures[0].interval) == ("none", "")
    assert row.figures[1] is None
    assert (row.figures[2].text, row.figures[2].verdict) == ("6.50", "")
    assert side_by_side([None]) == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"rows": 1}', '{"rows": []}'])
def test_what_is_no_report_is_none(tmp_path, text):
    (tmp_path / "results.json").write_text(text, "utf-8")
    assert shipped_results(tmp_path) is None
    assert shipped_results(tmp_path / "nowhere") is None


def test_shipped_reports_print_as_their_tables_do():
    for directory in paths.shipped_checkpoints().values():
        found = shipped_results(directory)
        if found is None:
            continue
        table = (directory / "RESULTS.md").read_text("utf-8")
        for row in side_by_side([found]):
            figure = row.figures[0]
            assert f"| {row.suite} | {row.metric} | {figure.text} ({figure.interval}) |" in table
        assert json.dumps(found)
