"""`q2a doctor --workshop`: a class's checks, each of them broken once, and the line to send back."""

import json
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from q2a_core import Q2AError
from q2a_core.teaching.readiness import classroom, workshop
from q2a_core.teaching.readiness.classroom import Check
from q2a_core.teaching.readiness.doctor import guarded
from q2a_core.teaching.readiness.speed import Speed
from q2a_core.teaching.readiness.workshop import WorkshopReport, format_report, run_workshop_doctor

SPEED = Speed(start=4.0, mel=0.01, encode=0.02, decode=0.001, train_step=0.5)
QUIET = {"cores": 2, "load": 0.4}
BUSY = {"cores": 2, "load": 7.5}
WELL = Check(name="Python", ok=True, found="3.11 on Linux")


def report(*checks: Check, **changes) -> WorkshopReport:
    values = {"checks": [WELL, *checks], "speed": SPEED, "predictions": [], "pace": 1.0}
    return WorkshopReport(**(values | changes))


@pytest.fixture
def quick(monkeypatch):
    """A whole run whose slow parts are given."""
    monkeypatch.setattr(workshop, "run_doctor", lambda on_check: [WELL])
    steps = [(name, lambda n=name: replace(WELL, name=n)) for name, _ in workshop.STEPS_OF_CLASS]
    monkeypatch.setattr(workshop, "STEPS_OF_CLASS", tuple(steps))
    monkeypatch.setattr(workshop, "measure_speed", lambda on_progress: SPEED)
    times = {
        "machine": QUIET,
        "speed": SPEED.to_dict(),
        "lessons": {"00": {"seconds": 9.0, "trains": False}},
    }
    monkeypatch.setattr(workshop, "machine", lambda: QUIET)
    monkeypatch.setattr(workshop, "read_times", lambda: times)
    monkeypatch.setattr(workshop, "times_file", lambda: Path(__file__))
    return times


def test_a_whole_run_ends_in_a_line_to_send_back(quick):
    found = run_workshop_doctor()
    assert found.ok
    last = format_report(found).splitlines()[-1]
    assert re.fullmatch(r"Q2A OK [0-9a-f]{8}; pace 1\.0; slowest 0\d in \d+ s", last)
    names = [check.name for check in found.checks]
    assert names[-2:] == ["speed test", "lesson times"]
    text = format_report(found)
    assert re.search(r"^00 Start here +9 s +60 s +10 min$", text, re.MULTILINE)
    assert re.search(r"^05 .* \* +180 s +180 s +20 min$", text, re.MULTILINE)
    assert "* not timed yet" in text
    record = json.loads(json.dumps(found.to_dict()))
    assert record["ok"]
    assert record["line"] == last
    assert [row["number"] for row in record["lessons"]] == [f"{n:02d}" for n in range(10)]


def test_a_machine_too_slow_for_the_class_is_told_which_lessons(quick, monkeypatch):
    slow = replace(SPEED, train_step=10.0)
    monkeypatch.setattr(workshop, "measure_speed", lambda on_progress: slow)
    found = run_workshop_doctor()
    assert not found.ok
    assert found.checks[-1].advice.startswith("too slow for class: ")
    assert "05" in found.checks[-1].advice
    assert "00" not in found.checks[-1].advice.split(";")[0]
    assert found.line.startswith("Q2A FAIL ")
    assert "fix lesson times" in found.line
    assert "pace 20.0" in found.line
    assert "  too slow for class" in format_report(found)


def test_a_busy_machine_is_told_so(quick, monkeypatch):
    monkeypatch.setattr(workshop, "machine", lambda: BUSY)
    found = run_workshop_doctor()
    assert found.ok
    assert "load 7.5 on 2 cores" in found.checks[-2].advice
    quick["machine"] = BUSY
    monkeypatch.setattr(workshop, "measure_speed", lambda on_progress: replace(SPEED, train_step=9))
    found = run_workshop_doctor()
    assert found.checks[-1].ok is None, "a reference that says little fails nobody"
    assert "q2a lesson time" in found.checks[-1].advice


def test_a_speed_test_that_fails_is_a_finding(quick, monkeypatch):
    def fail(on_progress):
        raise Q2AError("the speech engine is missing")

    monkeypatch.setattr(workshop, "measure_speed", fail)
    found = run_workshop_doctor()
    assert (found.ok, found.speed, found.predictions, found.pace) == (False, None, [], None)
    assert re.fullmatch(r"Q2A FAIL [0-9a-f]{8}; fix speed test", found.line)
    assert "the speech engine is missing" in format_report(found)
    json.dumps(found.to_dict())


def test_without_reference_times_nothing_is_predicted_and_nobody_fails(quick, monkeypatch):
    monkeypatch.setattr(workshop, "times_file", lambda: Path(__file__).with_name("none.json"))
    found = run_workshop_doctor()
    assert found.ok
    assert found.predictions == []
    assert re.fullmatch(r"Q2A OK [0-9a-f]{8}", found.line)
    assert "q2a lesson time" in found.checks[-1].advice


def test_times_that_cannot_be_read_are_a_finding(quick, monkeypatch):
    def fail():
        raise Q2AError("lesson_times.json cannot be read")

    monkeypatch.setattr(workshop, "read_times", fail)
    found = run_workshop_doctor()
    assert not found.ok
    assert found.speed == SPEED
    assert "fix lesson times" in found.line


def test_the_code_tells_set_ups_apart_and_not_hours():
    plain = report()
    disk = Check(name="free disk", ok=True, found="31.0 GB free")
    assert report(disk).code == report(replace(disk, found="29.5 GB free")).code
    assert report(disk).code != report(replace(disk, ok=False)).code
    folder = Check(name="cache folder", ok=True, found="/home/ann/.cache/q2a")
    assert report(folder).code == report(replace(folder, found="/home/bob/.cache/q2a")).code
    assert plain.code != report(checks=[replace(WELL, found="3.12 on Linux")]).code
    assert plain.code == report(pace=3.0).code


def test_the_command_prints_the_line_and_says_by_its_exit_code(quick, monkeypatch, capsys):
    from q2a_core.cli import main

    for broken, expected in ((False, 0), (True, 1)):
        if broken:
            bad = replace(WELL, ok=False)
            monkeypatch.setattr(workshop, "run_doctor", lambda on_check, bad=bad: [bad])
        monkeypatch.setattr(sys, "argv", ["q2a", "doctor", "--workshop"])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == expected
        assert capsys.readouterr().out.splitlines()[-2] == "send this line back:"
    monkeypatch.setattr(sys, "argv", ["q2a", "doctor", "--workshop", "--json"])
    with pytest.raises(SystemExit):
        main()
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_jupyterlab_starts_here():
    check = classroom.check_jupyterlab()
    assert check.ok, check.found
    assert re.search(r"version 4\.\d", check.found)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (subprocess.CompletedProcess([], 1, "", "a\nNo module named jupyterlab\n"), "No module"),
        (subprocess.CompletedProcess([], 1, "", ""), "no word why"),
        (subprocess.TimeoutExpired("jupyterlab", 120), "did not answer"),
    ],
)
def test_a_jupyterlab_that_does_not_start(answer, found, monkeypatch):
    def run(*_, **__):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(classroom.subprocess, "run", run)
    check = classroom.check_jupyterlab()
    assert check.ok is False
    assert found in check.found
    assert "jupyterlab>=4.4" in check.advice


def test_the_kernel_is_this_python(capfd):
    check = classroom.check_kernel()
    assert check.ok, check.found
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("import not_to_be_found_anywhere", "No module named 'not_to_be_found_anywhere'"),
        ("print('/bin/sh')", "python3 is another Python: /bin/sh"),
        ("pass", "python3 is another Python: unknown"),
    ],
)
def test_a_kernel_of_another_environment(question, found, monkeypatch):
    monkeypatch.setattr(classroom, "ASK_KERNEL", question)
    check = classroom.check_kernel()
    assert check.ok is False
    assert found in check.found
    assert "-m ipykernel install --sys-prefix --name python3" in check.advice


def test_a_kernel_whose_python_is_gone(tmp_path, monkeypatch):
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    argv = [str(tmp_path / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    check = guarded("kernel", classroom.check_kernel)
    assert check.ok is False
    assert "cannot be started" in check.found
    assert "--name python3" in check.advice


def test_widgets_are_here_and_missed_where_they_are_not(tmp_path, monkeypatch):
    assert classroom.check_widgets().ok
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda name: [str(tmp_path)])
    check = classroom.check_widgets()
    assert check.ok is False
    assert "jupyterlab_widgets" in check.advice


def test_a_port_in_use_and_no_port_at_all(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(classroom, "PORT", taken.getsockname()[1])
        check = classroom.check_notebook_port()
        assert check.ok is None
        assert "q2a lesson open 0 --port" in check.advice
        monkeypatch.setattr(classroom, "PORTS", 1)
        check = classroom.check_notebook_port()
    assert check.ok is False
    assert "none of" in check.found


def test_sound_is_told_where_it_can_be(tmp_path, monkeypatch):
    cards = tmp_path / "cards"
    cards.write_text(" 0 [PCH  ]: HDA-Intel\n       irq 41\n 1 [USB  ]: USB-Audio\n       at usb\n")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(classroom, "LINUX_SOUND", (cards, tmp_path / "none"))
    assert classroom.check_sound().found == "2 sound devices"
    monkeypatch.setattr(classroom, "LINUX_SOUND", (tmp_path / "none", tmp_path / "none"))
    check = classroom.check_sound()
    assert (check.ok, check.found) == (None, "no sound device")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert classroom.check_sound().ok is None
