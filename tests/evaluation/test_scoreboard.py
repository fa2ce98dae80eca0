"""Reports side by side and example by example: against hand-made reports, the suites themselves, and a silent book."""

import json

import numpy as np
import pytest

from q2a_core import paths
from q2a_core.checkpoint import open_checkpoint
from q2a_core.evaluation import browse
from q2a_core.evaluation.items import example_row
from q2a_core.evaluation.mini_suite import mini_items
from q2a_core.evaluation.mini_suites import MINI_SUITES
from q2a_core.evaluation.results_file import conditions_text
from q2a_core.evaluation.scoreboard import boards, shipped_reports
from q2a_core.world.speech.levels import plan_utterances


class Hummed:
    """A test book whose speakers hum: the real plan, each utterance a tone of its own."""

    hash = "hummed" * 4

    def __init__(self) -> None:
        self.utterances = plan_utterances("test", count=1500, seed=0)

    def __getitem__(self, index):
        tone = np.sin(np.arange(12_000) * (0.05 + index / 20_000))
        return self.utterances[index], (8000 * tone).astype(np.int16)


def score(value: float, spread: float = 0.1, n: int = 80) -> dict:
    return {"value": value, "low": value - spread, "high": value + spread, "n": n}


def report(name: str, rows: list[dict], *, book: str = "b1", examples: list | None = None) -> dict:
    return {
        "checkpoint": {"name": name, "hash": name[::-1]},
        "conditions": {"book": book, "seeds": {"a": 1}, "decoding": "greedy"},
        "rows": rows,
        "examples": examples or [],
    }


def row(suite: str, metric: str, value: float, *, seed: int | None = None, control=None) -> dict:
    found = {"suite": suite, "metric": metric, "score": score(value)}
    found |= {"seed": seed} if seed else {}
    return found | ({"control": score(control)} if control is not None else {})


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Two checkpoints by name, without weights; `put` writes a report beside one."""
    monkeypatch.setattr(paths, "data_samples", lambda: tmp_path)
    for name in ("early", "late"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
        (tmp_path / "checkpoints" / name / "config.json").write_text("{}")

    def put(place: str, values) -> None:
        text = values if isinstance(values, str) else json.dumps(values)
        (tmp_path / place / "results.json").write_text(text, "utf-8")

    return put


def test_the_same_clips_stand_in_one_table(house):
    house(
        "checkpoints/early",
        report("early", [row("recognition", "WER", 1.2, seed=201, control=1.4)]),
    )
    house(
        "checkpoints/late",
        report(
            "late",
            [row("recognition", "WER", 0.3, seed=201), row("emotion", "accuracy", 0.8, seed=209)],
        ),
    )
    reports, problems = shipped_reports()
    assert not problems
    (board,) = boards(reports)
    assert [each.name for each in board.reports] == ["early", "late"]
    recognition, emotion = board.rows
    assert [cell.value for cell in recognition.cells] == [1.2, 0.3]
    assert recognition.cells[0].control == 1.4
    assert recognition.cells[1].control is None
    assert recognition.lower_is_better
    assert recognition.most == 1.4
    assert recognition.paper == ("LibriSpeech test-clean (WER)", "1.6%", "1.7%")
    assert emotion.cells[0] is None
    assert not emotion.lower_is_better
    assert emotion.most == 1.0
    assert emotion.text(0.8) == "80.0%"
    assert "seeds: a 1" in conditions_text(board.reports[0].values)


def test_other_clips_and_easier_suites_stand_apart(house):
    house("checkpoints/early", report("early", [row("recognition", "WER", 0.1)], book="b2"))
    house("checkpoints/late", report("late", [row("recognition", "WER", 0.3, seed=201)]))
    found = boards(shipped_reports()[0])
    assert {board.book for board in found} == {"b1", "b2"}
    first = next(board for board in found if board.book == "b2")
    assert first.rows[0].paper == ("", "", ""), "the first world's recognition is not the paper's"


def test_a_loose_report_counts_for_the_checkpoint_it_names(house, tmp_path):
    house("", report("late", [row("emotion", "accuracy", 0.8)]))
    assert [each.name for each in shipped_reports()[0]] == ["late"]
    house("checkpoints/late", report("late", [row("emotion", "accuracy", 0.9)]))
    (only,) = shipped_reports()[0]
    assert only.values["rows"][0]["score"]["value"] == 0.9
    own = tmp_path / "own"
    own.mkdir()
    house("own", report("whatever", [row("emotion", "accuracy", 0.7)]))
    assert [each.name for each in shipped_reports(own)[0]] == ["late", "own"]
    for nowhere in ("Qwen/Qwen2-Audio-7B", "~nobody-here/x", "x" * 5000, "a\0b"):
        assert [each.name for each in shipped_reports(nowhere)[0]] == ["late"]


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"checkpoint": {}, "rows": []}', '{"rows": [{}]}', "\x00"]
)
def test_a_damaged_report_is_named_and_the_others_stay(house, text):
    house("checkpoints/early", text)
    house("checkpoints/late", report("late", [row("emotion", "accuracy", 0.9)]))
    reports, (problem,) = shipped_reports()
    assert [each.name for each in reports] == ["late"]
    assert "early/results.json is no report of `q2a eval`" in problem


def test_questions_need_no_sound_and_are_the_suites_own():
    planned, hummed = browse.planned(), Hummed()
    for suite in MINI_SUITES:
        items = mini_items(suite, hummed, count=3)
        asked = browse.questions(suite.name, 3, planned)
        assert [each.scene for each in asked] == [item.scene for item in items]
        assert [each.task for each in asked] == [item.task for item in items]
        heard = browse.hear(asked[2], hummed)
        np.testing.assert_array_equal(heard.samples, items[2].samples)
        assert all(browse.in_the_clip(each.scene) for each in asked)


def test_recorded_replies_are_judged_and_those_of_other_clips_left_out(house):
    planned = browse.planned()
    suite = "everyday sound"
    asked = browse.questions(suite, 3, planned)
    rows = [example_row(suite, _silent(each), each.truth) for each in asked]
    rows[1]["reply"] = "I cannot tell."
    other = [{**each, "true": "something else"} for each in rows]
    house("checkpoints/early", report("early", [], examples=rows))
    house("checkpoints/late", report("late", [], examples=other))
    found = browse.recorded_examples(shipped_reports()[0], planned)
    assert [each.question.number for each in found] == [0, 1, 2]
    said = [each.said for each in found]
    assert all(len(each) == 1 and each[0].checkpoint == "early" for each in said)
    assert [each[0].right for each in said] == [True, False, True]
    assert said[0][0].points == 10.0
    assert any("does not know" in reason for reason in said[1][0].reasons)
    assert browse.left_out(shipped_reports()[0], found) == 3


def _silent(asked):
    from q2a_core.evaluation.items import Item

    return Item(scene=asked.scene, task=asked.task, samples=np.zeros(0, np.float32))


def test_shipped_examples_are_found_again():
    reports = shipped_reports()[0]
    assert {each.name for each in reports} >= {"mini-pretrain", "mini-sft", "mini-dpo"}
    found = browse.recorded_examples(reports, browse.planned())
    for suite in (
        "recognition",
        "emotion",
        "everyday sound",
    ):  # these ask the same since they began
        listed = {row["clip"] for each in reports for row in each.examples if row["suite"] == suite}
        again = [each for each in found if each.question.suite == suite]
        assert {each.question.scene.index for each in again} == listed
    assert any(not said.right for each in found for said in each.said)
    recorded = sum(row["suite"] in browse.SUITES for each in reports for row in each.examples)
    assert browse.left_out(reports, found) == recorded - sum(len(each.said) for each in found)


def test_a_live_reply_is_what_the_evaluation_gets(tiny_checkpoint):
    from q2a_core.evaluation.runner import answer

    checkpoint = open_checkpoint(tiny_checkpoint)
    model = checkpoint.load_model()
    asked = browse.question("vocal sound", 1, browse.planned())
    item = browse.hear(asked, Hummed())
    said = browse.ask_live(asked, item, checkpoint, model)
    assert said.live
    assert said.reply == answer(checkpoint, model, [item])[0]
    assert (said.checkpoint, said.hash) == (checkpoint.name, checkpoint.hash)
    assert not said.right
