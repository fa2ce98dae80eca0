"""Ways of asking share clips and truth; the ablation is read from reports and never invented."""

import json

import numpy as np

from q2a_core.checkpoint import open_checkpoint
from q2a_core.evaluation.prompt_ablation import SUITES, prompt_ablation
from q2a_core.evaluation.ways_of_asking import CONTROL, WAYS, _items, ways_of_asking
from q2a_core.world.wordings import PROMPTS


def test_every_way_asks_the_same_of_the_same_clips():
    lists = {way: _items(words, 12, 0) for way, words in WAYS.items()}
    first = lists["official wording"]
    for items in lists.values():
        for item, other in zip(items, first, strict=True):
            assert item.task.name == other.task.name
            np.testing.assert_array_equal(item.samples, other.samples)
    counted = next(k for k, item in enumerate(first) if item.task.name == "count")
    asked = {
        way: items[counted].task.prompt[-1]["content"][-1]["text"] for way, items in lists.items()
    }
    assert asked["held-out paraphrase"] in PROMPTS["count"].held_out
    assert asked["tags"] == PROMPTS["count"].tags
    assert len(set(asked.values())) == len(WAYS)
    there = next(item for item in lists["tags"] if item.task.name == "is_there")
    assert "{}" not in there.task.prompt[-1]["content"][-1]["text"]


def test_asking_for_nothing_gets_no_answer_to_the_question():
    scores = ways_of_asking(open_checkpoint("mini-pretrain"), count=8)
    assert set(scores) == {*WAYS, CONTROL}
    assert scores["official wording"].value > scores["a question about nothing"].value
    assert all(score.n == 8 for score in scores.values())


def test_the_ablation_is_what_reports_hold(tmp_path):
    score = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 40}
    rows = [{"suite": name, "metric": "accuracy", "score": score} for name in SUITES]
    checkpoint = {"name": "x", "hash": "0" * 12, "stage": "pretrain", "clips": 3200}
    for name, kept in (("natural-pretrain", rows), ("tags-pretrain", rows), ("tags-sft", rows[:2])):
        report = {"checkpoint": checkpoint, "rows": kept}
        (tmp_path / f"{name}.json").write_text(json.dumps(report), "utf-8")
    (tmp_path / "natural-sft.json").write_text("{", "utf-8")
    found = prompt_ablation(tmp_path)
    assert [(row.prompts, row.stage) for row in found] == [
        ("natural", "pretrain"),
        ("tags", "pretrain"),
    ]
    assert found[0].scores[SUITES[1]].high == 0.6
    assert found[0].clips == 3200
    assert prompt_ablation(tmp_path / "nowhere") == []


def test_both_twins_ship_after_both_stages_with_as_many_clips():
    rows = prompt_ablation()
    assert [(row.prompts, row.stage) for row in rows] == [
        ("natural", "pretrain"),
        ("tags", "pretrain"),
        ("natural", "sft"),
        ("tags", "sft"),
    ]
    assert rows[0].clips == rows[1].clips
    assert rows[2].clips == rows[3].clips
    tags = open_checkpoint("mini-tags")
    assert rows[1].hash == tags.hash
    assert rows[1].clips == tags.about["clips"] > tags.about["start"]["clips"]  # the start's too
    assert len({score.n for row in rows for score in row.scores.values()}) == 1
