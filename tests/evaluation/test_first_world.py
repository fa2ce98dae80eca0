"""The first world's suites, with a model that answers at random: it must score like one."""

import json

import pytest

from q2a_core.checkpoint import open_checkpoint
from q2a_core.evaluation import first_world, runner
from q2a_core.evaluation.first_world import FIRST_WORLD, names_sound, suite_items
from q2a_core.world.first_world.tasks import NOUNS, sound_answer


def test_every_true_answer_names_its_sound_and_no_other():
    for label in NOUNS:
        assert names_sound(sound_answer(label), label)
        assert [other for other in NOUNS if names_sound(sound_answer(label), other)] == [label]
    assert not names_sound("This is the sound of a dog and a cat.", "dog")
    assert not names_sound("", "dog")
    assert names_sound("I hear a car horn!", "horn")


@pytest.fixture
def report(tiny_checkpoint, small_test_book, monkeypatch):
    monkeypatch.setattr(first_world, "open_or_build", lambda *_, **__: small_test_book)
    monkeypatch.setattr(runner, "MAX_NEW_TOKENS", 4)
    short = tuple(suite for suite in FIRST_WORLD if suite.name != "sound + spoken question")
    return first_world.evaluate(open_checkpoint(tiny_checkpoint), count=4, suites=short)


def test_the_report_names_its_conditions_and_a_random_model_fails(report):
    assert json.loads(json.dumps(report)) == report
    assert report["checkpoint"]["hash"]
    assert {"split", "book", "seeds", "decoding", "machine"} <= set(report["conditions"])
    by_name = {row["suite"]: row for row in report["rows"]}
    assert by_name["recognition"]["score"]["value"] > 0.5
    assert by_name["sound"]["score"]["value"] < 0.5
    assert all(row["score"]["n"] == 4 for row in report["rows"])
    assert len(report["examples"]) == 8
    assert "| sound | accuracy |" in first_world.to_markdown(report)


def test_a_perfect_listener_scores_perfectly_and_fails_on_swapped_clips(
    tiny_checkpoint, small_test_book, monkeypatch
):
    heard = {}
    for suite in FIRST_WORLD:
        for item in suite_items(suite, small_test_book, count=9):
            heard[item.samples.tobytes()] = item.task.answer

    def listen(checkpoint, model, items, *, tick):
        tick(len(items))
        return [heard[item.samples.tobytes()] for item in items]

    monkeypatch.setattr(first_world, "open_or_build", lambda *_, **__: small_test_book)
    monkeypatch.setattr(first_world, "answer", listen)
    seen = []
    report = first_world.evaluate(
        open_checkpoint(tiny_checkpoint),
        count=9,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    for row in report["rows"]:
        perfect = 0.0 if row["metric"] == "WER" else 1.0
        assert row["score"]["value"] == perfect
        assert abs(row["control"]["value"] - perfect) > 0.4
    assert seen[-1][0] == seen[-1][1] == 54
