"""Running a notebook: what counts is what `check` said, an endless loop costs one cell, and practice is not noted."""

import json
import os
import signal
import sys

import nbformat
import pytest

from q2a_core.teaching.checks import check
from q2a_core.teaching.exercise import passed
from q2a_core.teaching.progress import passed_exercises
from q2a_core.teaching.run_lesson import run_notebook
from q2a_core.teaching.verdict_log import (
    FILE_VARIABLE,
    NONCE_VARIABLE,
    PRACTICE_VARIABLE,
    read_verdicts,
    write_verdict,
)

RIGHT = "lambda seconds: int(seconds * 25)"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    for name in (FILE_VARIABLE, NONCE_VARIABLE, PRACTICE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("Q2A_HOME", str(tmp_path / "home"))


def test_only_lines_of_this_run_that_are_verdicts_count(monkeypatch, tmp_path):
    log = tmp_path / "log"
    write_verdict(passed("nobody listens", exercise="00.tokens"))
    assert not log.exists()
    monkeypatch.setenv(FILE_VARIABLE, str(log))
    monkeypatch.setenv(NONCE_VARIABLE, "ours")
    assert check("00.tokens", lambda seconds: 25 * seconds)
    assert not check("00.tokens", lambda seconds: 0)
    good = {"nonce": "ours", "exercise": "01.power", "state": "passed", "message": "m"}
    bad = [{**good, "nonce": "theirs"}, {**good, "exercise": "00.unknown"}]
    bad += [{**good, "state": "great"}, {**good, "message": 3}, {"foo": 1}, ["a"], 7]
    bad += [{**good, "exercise": ["00.tokens"]}, {"nonce": "ours", "state": "passed"}]
    with log.open("a") as file:
        file.write("".join(json.dumps(record) + "\n" for record in bad) + "no json\n")
    found = read_verdicts(log, "ours")
    assert set(found) == {"00.tokens"}
    assert found["00.tokens"]["state"] == "wrong", "the last one counts"
    assert read_verdicts(tmp_path / "nowhere", "ours") == {}


def test_practice_is_not_noted(monkeypatch):
    monkeypatch.setenv(PRACTICE_VARIABLE, "1")
    assert check("00.tokens", lambda seconds: 25 * seconds)
    assert passed_exercises() == {}
    monkeypatch.delenv(PRACTICE_VARIABLE)
    assert check("00.tokens", lambda seconds: 25 * seconds)
    assert set(passed_exercises()) == {"00.tokens"}


def notebook(path, *cells):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(made, path)
    return path


@pytest.mark.course
@pytest.mark.timeout(900)
def test_verdicts_come_from_the_check_and_outlive_an_endless_loop(tmp_path):
    mime = '{"text/plain": "x", "application/vnd.q2a.verdict+json": {"exercise": "01.power", "state": "passed"}}'
    path = notebook(
        tmp_path / "any.ipynb",
        f"from IPython.display import display\ndisplay({mime}, raw=True)",
        f"from q2a_core.teaching.checks import check\nv = check('00.tokens', {RIGHT})\nprint('done')",
        "while True: pass",
        "check('01.log', lambda bands: None)",
    )
    result = run_notebook(path, quick_timeout=30, practice=True)
    assert {name: verdict["state"] for name, verdict in result.verdicts.items()} == {
        "00.tokens": "passed",
        "01.log": "unfilled",
    }
    [error] = result.errors
    assert error.startswith("cell 2: did not end within 30 s and was interrupted")
    assert passed_exercises() == {}


@pytest.mark.course
@pytest.mark.timeout(900)
def test_a_cell_that_ignores_the_interrupt_ends_the_run_and_keeps_its_verdicts(tmp_path):
    stubborn = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    first = f"from q2a_core.teaching.checks import check\ncheck('00.tokens', {RIGHT})"
    path = notebook(tmp_path / "any.ipynb", first, stubborn, "print('never')")
    result = run_notebook(path, quick_timeout=20, practice=True)
    assert result.passed == ["00.tokens"]
    assert result.errors[0].startswith("cell 1: did not end within 20 s")
    assert "did not run" in result.errors[-1]


@pytest.mark.course
@pytest.mark.timeout(900)
@pytest.mark.parametrize("offline", [False, True])
def test_a_cell_that_ends_its_process_ends_the_run_and_keeps_its_verdicts(tmp_path, offline):
    first = f"from q2a_core.teaching.checks import check\ncheck('00.tokens', {RIGHT})"
    path = notebook(tmp_path / "any.ipynb", first, "import os\nos._exit(1)", "print('never')")
    result = run_notebook(path, practice=True, offline=offline)
    assert result.passed == ["00.tokens"]
    [error] = result.errors
    assert error.startswith("cell 1: its process ended")


@pytest.mark.course
@pytest.mark.skipif(sys.platform == "win32", reason="processes are ended without a signal there")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_whoever_asks_for_an_end_is_obeyed_and_the_kernel_ends_too(tmp_path, name):
    """nbclient ends its kernel only, which then looks as if a cell had ended it."""
    first = f"import os\nopen({str(tmp_path / 'kernel')!r}, 'w').write(str(os.getpid()))"
    path = notebook(tmp_path / "any.ipynb", first, "import time\ntime.sleep(100)", "print('never')")
    with pytest.raises(KeyboardInterrupt):
        run_notebook(
            path, on_cell=lambda done, _: done == 1 and signal.raise_signal(signal.Signals[name])
        )
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "kernel").read_text()), 0)
