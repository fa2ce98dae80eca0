"""Two reports compared item by item, against scipy's binomial test."""

import copy
import json

import pytest
from scipy.stats import binomtest

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
        (json.dumps({"rows": [{"suite": "a"}]}), "tells of no single items"),
    ],
)
def test_what_is_no_report_is_one_sentence(tmp_path, text, says):
    path = tmp_path / "r.json"
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(Q2AError, match=says):
        read_report(path)
