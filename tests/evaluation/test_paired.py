"""Two reports compared item by item, against scipy's binomial test."""

import copy
import json

import pytest
from scipy.stats import binomtest

from q2a_core import paths
from q2a_core.errors import Q2AError
from q2a_core.evaluation.metrics import FALSE_YES
from q2a_core.evaluation.paired import compare, compare_table, read_report

SCORE = {"value": 0.1, "low": 0.0, "high": 0.2, "n": 40}
CONDITIONS = {"split": "test", "book": "abc", "prompts": "held out"}
SFT = {
    "checkpoint": {"name": "sft", "hash": "1"},
    "conditions": CONDITIONS,
    "rows": [
        {"suite": "false yes", "metric": FALSE_YES, "score": SCORE, "hits": list(range(12))},
        {"suite": "recognition", "metric": "WER", "score": SCORE},
    ],
}
DPO = copy.deepcopy(SFT) | {"checkpoint": {"name": "dpo", "hash": "2"}}
DPO["rows"][0]["hits"] = [0, 1, 39]


def test_the_test_is_on_the_items_that_differ():
    [row] = compare(SFT, DPO)["rows"]
    assert (row["first"], row["second"], row["only_first"], row["only_second"]) == (12, 3, 10, 1)
    assert row["p"] == pytest.approx(binomtest(1, 11).pvalue)
    table = compare_table(compare(SFT, DPO))
    assert "| false yes | said yes | 12 | 3 | 10 | 1 | 40 | 0.012 |" in table
    assert compare(SFT, SFT)["rows"][0]["p"] == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: r["conditions"].update(book="xyz"), "differ in book: abc and xyz"),
        (lambda r: r["rows"][0].update(score=SCORE | {"n": 3}), "40 items in one report and 3"),
        (lambda r: r["rows"][0].update(suite="emotion"), "no suite in common"),
    ],
)
def test_other_items_are_not_compared(change, says):
    other = copy.deepcopy(DPO)
    change(other)
    with pytest.raises(Q2AError, match=says):
        compare(SFT, other)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "expected a report of q2a eval"),
        ("{", "is no JSON"),
        ("[1]", "is no report"),
        (json.dumps(SFT | {"rows": [{"suite": "a"}]}), "tells of no single items"),
    ],
)
def test_what_is_no_report_is_one_sentence(tmp_path, text, says):
    path = tmp_path / "r.json"
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(Q2AError, match=says):
        read_report(path)


def without(*keys):
    return lambda part: [part.pop(key) for key in keys]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("conditions"), "does not say how the checkpoint was asked"),
        (lambda r: r.update(conditions=[1]), "does not say how the checkpoint was asked"),
        (without("checkpoint"), "does not say of which checkpoint it is"),
        (lambda r: r.update(checkpoint="sft"), "does not say of which checkpoint it is"),
        (lambda r: r["checkpoint"].pop("hash"), "does not say of which checkpoint it is"),
        (lambda r: r["rows"].append(1), "has 1 among its rows"),
        (lambda r: r["rows"].insert(0, None), "has None among its rows"),
        (lambda r: without("suite")(r["rows"][0]), "without a suite or a metric"),
        (lambda r: r["rows"][0].update(suite=["a"]), "without a suite or a metric"),
        (lambda r: without("metric")(r["rows"][0]), "without a suite or a metric"),
        (lambda r: without("score")(r["rows"][0]), "how many items 'false yes' has"),
        (lambda r: r["rows"][0].update(score=SCORE | {"n": "40"}), "how many items"),
        (lambda r: r["rows"][0].update(score=SCORE | {"n": 4.0}), "how many items"),
        (lambda r: r["rows"][0].update(hits=None), "not among its items 0 to 39"),
        (lambda r: r["rows"][0].update(hits=[[1]]), "not among its items"),
        (lambda r: r["rows"][0].update(hits=[1.5]), "not among its items"),
        (lambda r: r["rows"][0].update(hits=[40]), "not among its items"),
        (lambda r: r["rows"][0].update(hits=[True]), "not among its items"),
    ],
)
def test_a_damaged_report_is_one_sentence(tmp_path, change, says):
    report = copy.deepcopy(SFT)
    change(report)
    path = tmp_path / "r.json"
    path.write_text(json.dumps(report), "utf-8")
    with pytest.raises(Q2AError, match=rf"^r.json .*{says}.*; expected what q2a eval") as caught:
        read_report(path)
    assert "\n" not in str(caught.value)


def test_rows_of_other_makers_stand_aside(tmp_path):
    report = copy.deepcopy(SFT)
    report["rows"] += [{}, {"suite": "theirs"}]
    path = tmp_path / "r.json"
    path.write_text(json.dumps(report), "utf-8")
    assert compare(read_report(path), SFT)["rows"][0]["n"] == 40


@pytest.mark.parametrize("name", ["mini-pretrain", "mini-sft", "mini-dpo"])
def test_shipped_reports_are_read(name):
    report = read_report(paths.data_samples() / "checkpoints" / name / "results.json")
    assert compare(report, report)["rows"]
