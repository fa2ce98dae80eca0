"""The exit quiz: one right option each, figures from the code, every option explained, on screen and in a terminal."""

import html
import json
import math
import re

import pytest

from q2a_core import lengths, presets
from q2a_core.cli import main
from q2a_core.errors import Q2AError
from q2a_core.teaching.course import LESSONS
from q2a_core.teaching.quiz.exit_quiz import (
    FILE,
    LETTERS,
    chosen,
    explained,
    graded,
    keep_answers,
    kept_answers,
    question,
    questions,
    shuffled,
)
from q2a_core.teaching.quiz.widget import QuizWidget

RIGHT = {item.id: next(o.text for o in item.options if o.right) for item in questions()}


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))
    return tmp_path


def test_the_questions_have_one_right_answer_and_a_reason_for_every_option():
    assert 8 <= len(questions()) <= 10
    assert len({item.id for item in questions()}) == len(questions())
    lessons = {lesson.number for lesson in LESSONS}
    assert len({item.lesson for item in questions()}) >= 7
    for item in questions():
        assert item.lesson in lessons
        assert len(item.options) == 4
        assert sum(option.right for option in item.options) == 1
        assert len({option.text for option in item.options}) == 4
        assert all(len(option.why) >= 20 for option in item.options)


def test_the_right_answer_is_not_always_in_the_same_place():
    places = [[o.right for o in shuffled(item)].index(True) for item in questions()]
    assert len(set(places)) >= 3
    assert [shuffled(item) for item in questions()] == [shuffled(item) for item in questions()]


def test_figures_are_those_of_the_code():
    assert RIGHT["tokens"] == str(lengths.tokens_of_samples(3 * lengths.SAMPLE_RATE))
    assert RIGHT["cache"] == f"{presets.mini().decoder.kv_bytes(1, itemsize=4):,} bytes"
    assert float(RIGHT["dpo"]) == pytest.approx(math.log(2), abs=1e-3)
    texts = [option.text for option in question("field").options]
    assert "85 ms" in texts
    assert f"{1000 * lengths.RECEPTIVE_FIELD_SAMPLES / lengths.SAMPLE_RATE:g} ms" == "85 ms"
    low, high = map(int, re.findall(r"(\d+)% to (\d+)%", RIGHT["interval"])[0])
    assert low < 90 < high


def test_dpo_begins_where_the_quiz_says():
    import torch

    from q2a_core.training.losses import dpo_loss

    chosen_logps, rejected_logps = torch.tensor([-3.0, -5.0]), torch.tensor([-7.0, -2.0])
    found = dpo_loss(chosen_logps, rejected_logps, chosen_logps, rejected_logps, beta=0.3)
    assert float(found.loss.mean()) == pytest.approx(float(RIGHT["dpo"]), abs=1e-3)


def test_the_score_is_counted_from_the_answers_and_the_best_is_kept(home):
    assert kept_answers() == {}
    some = dict(RIGHT)
    some["tokens"] = "300"
    assert str(keep_answers(some)) == f"{len(RIGHT) - 1} of {len(RIGHT)}"
    assert keep_answers({}).right == 0
    assert kept_answers() == some
    keep_answers(RIGHT)
    assert graded(kept_answers()).right == len(RIGHT)
    (home / "lessons" / FILE).write_text("not json")
    assert kept_answers() == {}
    (home / "lessons" / FILE).write_text('["a"]')
    assert kept_answers() == {}


def test_letters_choose_and_others_are_refused():
    item = question("tokens")
    for letter, option in zip(LETTERS, shuffled(item), strict=True):
        assert chosen(item, f" {letter.upper()} ") is option
    for bad in ("", "e", "ab", "1"):
        with pytest.raises(Q2AError, match="expected one of a, b, c, d"):
            chosen(item, bad)
    with pytest.raises(Q2AError, match="no question 'x'"):
        question("x")
    wrong = next(option for option in item.options if not option.right)
    marks = [mark for mark, *_ in explained(item, wrong)]
    assert sorted(marks) == [" ", " ", "✔", "✘"]


def test_the_widget_explains_scores_and_falls_back_to_text():
    quiz = QuizWidget()
    for card in quiz.cards:
        assert card.button.disabled
        card.choice.value = RIGHT[card.item.id]
        assert not card.button.disabled
        card.button.click()
        assert "Right." in card.verdict.value
        for option in card.item.options:
            assert html.escape(option.why) in card.verdict.value
        assert card.button.disabled
    assert f"{len(RIGHT)} of {len(RIGHT)} right" in quiz.score.value
    assert kept_answers() == RIGHT
    bundle = quiz._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert question("dpo").text in bundle["text/plain"]
    assert "<pre>" in bundle["text/html"]


def test_a_wrong_answer_in_the_widget_names_the_lesson():
    quiz = QuizWidget()
    card = quiz.cards[0]
    card.choice.value = "300"
    card.button.click()
    assert f"Lesson {card.item.lesson} shows it" in card.verdict.value
    assert "mel frames" in card.verdict.value
    assert "questions to go" in quiz.score.value


def test_the_terminal_asks_the_same_and_keeps_the_score(monkeypatch, capsys):
    letters = [LETTERS[[o.right for o in shuffled(item)].index(True)] for item in questions()]
    typed = iter(["z", *letters])
    monkeypatch.setattr("typer.prompt", lambda text: next(typed))
    monkeypatch.setattr("sys.argv", ["q2a", "lesson", "quiz"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code in (0, None)
    out = capsys.readouterr().out
    assert "'z' is no option" in out
    assert f"{len(RIGHT)} of {len(RIGHT)} right" in out
    assert all(option.why in out for option in question("modes").options)
    monkeypatch.setattr("sys.argv", ["q2a", "lesson", "quiz", "--json"])
    with pytest.raises(SystemExit):
        main()
    assert json.loads(capsys.readouterr().out) == {
        "taken": True,
        "right": len(RIGHT),
        "of": len(RIGHT),
    }
