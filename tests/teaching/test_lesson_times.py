"""Predicted times: the arithmetic, the file that they rest on, and a real speed test in small."""

import json
import math
import sys
from types import SimpleNamespace

import pytest

from q2a_core import Q2AError
from q2a_core.teaching import lesson_times
from q2a_core.teaching.course import LESSONS, lesson
from q2a_core.teaching.lesson_times import predict, read_times, write_times
from q2a_core.teaching.readiness import speed
from q2a_core.teaching.readiness.speed import Speed

THERE = Speed(start=4.0, mel=0.01, encode=0.02, decode=0.001, train_step=0.5)


def times(**lessons: tuple[float, bool]) -> dict:
    records = {
        number.removeprefix("l"): {"seconds": seconds, "trains": trains}
        for number, (seconds, trains) in lessons.items()
    }
    return {"speed": THERE.to_dict(), "lessons": records}


def seconds_of(predictions, number):
    return next(item for item in predictions if item.lesson.number == number).seconds


def test_the_same_machine_takes_the_measured_time():
    found = predict(times(l01=(30.0, False), l04=(100.0, True)), THERE)
    assert seconds_of(found, "01") == pytest.approx(30)
    assert seconds_of(found, "04") == pytest.approx(100)
    assert [item.lesson for item in found] == list(LESSONS)


def test_start_training_and_listening_are_scaled_apart():
    here = Speed(start=8.0, mel=0.02, encode=0.04, decode=0.008, train_step=2.0)
    found = predict(times(l01=(30.0, False), l04=(100.0, True)), here)
    assert seconds_of(found, "04") == pytest.approx(8 + 96 * 4)
    assert seconds_of(found, "01") == pytest.approx(8 + 26 * math.cbrt(2 * 2 * 8))


def test_a_lesson_that_was_not_timed_counts_by_its_stated_time():
    found = {item.lesson.number: item for item in predict(times(l01=(30.0, False)), THERE)}
    assert found["01"].measured
    assert not found["05"].measured
    assert found["05"].seconds == pytest.approx(lesson("05").run_seconds)


def test_half_the_time_in_class_belongs_to_people():
    minutes = lesson("04").class_minutes
    slow = Speed(**{**THERE.to_dict(), "train_step": 5.0})
    found = {item.lesson.number: item for item in predict(times(l04=(31.0 * minutes, True)), THERE)}
    assert not found["04"].fits
    found = {item.lesson.number: item for item in predict(times(l04=(29.0 * minutes, True)), THERE)}
    assert found["04"].fits
    assert all(item.fits for item in predict(times(), slow) if not item.lesson.class_minutes)


def test_what_ships_can_be_read_and_names_its_conditions():
    if not lesson_times.times_file().is_file():
        pytest.skip("no lesson was timed yet")
    found = read_times()
    assert found["made_by"] == "q2a lesson time"
    assert set(found["lessons"]) <= {item.number for item in LESSONS}
    assert "00" in found["lessons"]
    assert {"cores", "torch", "threads"} <= set(found["machine"])
    assert found["checkpoint"]["hash"]
    for number, record in found["lessons"].items():
        assert record["trains"] == lesson_times.trains_something(lesson(number))


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: [],
        lambda values: {"lessons": {}},
        lambda values: {**values, "speed": {**values["speed"], "mel": 0}},
        lambda values: {**values, "speed": {**values["speed"], "mel": "fast"}},
        lambda values: {**values, "lessons": {"00": {"seconds": -1, "trains": False}}},
        lambda values: {**values, "lessons": {"00": {"trains": False}}},
        lambda values: {**values, "lessons": [3]},
    ],
)
def test_a_damaged_file_is_one_sentence(damage, tmp_path):
    path = tmp_path / "lesson_times.json"
    path.write_text(json.dumps(damage(times(l00=(9.0, False)))), encoding="utf-8")
    with pytest.raises(Q2AError, match="make it with: q2a lesson time"):
        read_times(path)


def test_a_missing_file_and_a_folder_that_refuses(tmp_path):
    with pytest.raises(Q2AError, match="q2a lesson time"):
        read_times(tmp_path / "none.json")
    with pytest.raises(Q2AError, match="choose another --output"):
        write_times(times(), tmp_path / "no" / "folder.json")


def fake_run(seconds=12.34, passed=("00.tokens",), errors=()):
    return SimpleNamespace(seconds=seconds, passed=list(passed), errors=errors)


@pytest.fixture
def only_lesson_00(monkeypatch):
    """No speed test, and lesson 00 alone is there."""
    real = lesson_times.solution_notebook
    monkeypatch.setattr(lesson_times, "measure_speed", lambda: THERE)
    monkeypatch.setattr(
        lesson_times,
        "solution_notebook",
        lambda item: real(item) if item.number == "00" else real(item).with_name("none"),
    )
    monkeypatch.delenv("Q2A_LESSON_STEPS", raising=False)
    monkeypatch.setenv("Q2A_HOME", "/the/users/own")


def test_lessons_are_timed_each_in_a_home_of_its_own(only_lesson_00, tmp_path, monkeypatch):
    import os

    homes, heard = [], []

    def run(path, **options):
        assert options["offline"]
        assert options.get("steps") is None
        homes.append(os.environ["Q2A_HOME"])
        return fake_run()

    monkeypatch.setattr("q2a_core.teaching.run_lesson.run_notebook", run)
    found = lesson_times.measure_lessons(on_lesson=lambda item, s: heard.append((item.number, s)))
    assert heard == [("00", 12.3)]
    assert os.environ["Q2A_HOME"] == "/the/users/own"
    assert homes[0] != "/the/users/own"
    assert found["lessons"] == {"00": {"seconds": 12.3, "trains": False}}
    assert read_times(write_times(found, tmp_path / "t.json")) == found


@pytest.mark.parametrize(
    ("result", "fragment"),
    [
        (fake_run(passed=()), "lesson 00 does not pass, so it was not timed: 00.tokens"),
        (fake_run(errors=("cell 3: ValueError: no",)), "cell 3: ValueError: no"),
    ],
)
def test_a_lesson_that_fails_is_not_timed(result, fragment, only_lesson_00, monkeypatch):
    monkeypatch.setattr("q2a_core.teaching.run_lesson.run_notebook", lambda *_, **__: result)
    with pytest.raises(Q2AError, match=fragment):
        lesson_times.measure_lessons()


def test_training_that_is_cut_is_not_timed(monkeypatch):
    monkeypatch.setenv("Q2A_LESSON_STEPS", "20")
    with pytest.raises(Q2AError, match="Q2A_LESSON_STEPS is set"):
        lesson_times.measure_lessons()


def test_a_step_at_class_budget_is_timed_by_the_training_code_itself(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader")
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))
    monkeypatch.setattr(speed, "UTTERANCES", 20)
    heard = []
    seconds = speed.time_training(
        steps=2, workers=0, on_progress=lambda done, total: heard.append((done, total))
    )
    assert heard == [(0, 2), (1, 2), (2, 2)]
    assert 0 < seconds < 120


def test_listening_is_timed_on_the_shipped_checkpoint():
    mel, encode, decode = speed._time_listening()
    assert 0 < decode < mel + encode < 60


def test_a_speed_survives_its_file():
    assert Speed.from_dict(json.loads(json.dumps(THERE.to_dict()))) == THERE
    with pytest.raises(Q2AError, match="expected seconds over 0"):
        Speed.from_dict({**THERE.to_dict(), "start": math.nan})


def test_the_command_writes_the_file_and_says_when_the_machine_was_busy(
    tmp_path, monkeypatch, capsys
):
    from q2a_core.cli import main

    measured = times(l00=(9.0, False)) | {"machine": {"cores": 2, "load": 7.5}}

    def measure(*, on_lesson, on_cell):
        on_lesson(lesson("00"), 99.0)
        return measured

    monkeypatch.setattr(lesson_times, "measure_lessons", measure)
    path = tmp_path / "times.json"
    monkeypatch.setattr(sys, "argv", ["q2a", "lesson", "time", "--output", str(path)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    assert read_times(path) == measured
    said = capsys.readouterr()
    assert "99.0 s of 60 s  longer than stated" in said.out
    assert "load 7.5 on 2 cores" in said.err
