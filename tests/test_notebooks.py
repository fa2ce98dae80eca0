"""The notebooks: in step with their masters, without outputs, running offline, and their checks awake."""

import re
from pathlib import Path

import pytest

from notebook_claims import CLAIMS, printed
from q2a_core.errors import Q2AError
from q2a_core.teaching.checks import exercises_of
from q2a_core.teaching.course import LESSONS, master, solution_notebook, student_notebook
from q2a_core.teaching.lesson_times import read_times
from q2a_core.teaching.masters import build_notebook, workshop_masters
from q2a_core.teaching.run_lesson import run_notebook

jupytext = pytest.importorskip("jupytext")
nbformat = pytest.importorskip("nbformat")

BUILT = [item for item in LESSONS if master(item).is_file()]
STEPS = 20
MAX_CODE_CELLS, MAX_WORDS = 25, 1500
SECONDS = 30
"""What runs shorter is said to run in seconds."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One home for all lessons, so that speech is synthesised once."""
    return tmp_path_factory.mktemp("home")


def executed(path: Path, folder: Path):
    """The run of a notebook; once more if the kernel was lost, as when another program takes one of its ports."""
    options = {
        "steps": STEPS,
        "offline": True,
        "folder": folder,
        "cell_timeout": 400,
        "quick_timeout": 400,
    }
    try:
        return run_notebook(path, **options)
    except Q2AError:
        return run_notebook(path, **options)


def read(path: Path):
    return nbformat.read(path, as_version=4)


def test_every_lesson_and_nothing_else_has_a_master():
    folder = master(LESSONS[0]).parent
    assert {path.stem for path in folder.glob("*.py")} <= {item.stem for item in LESSONS}
    for item in BUILT:
        assert exercises_of(item.number), f"lesson {item.number} has no exercise"


@pytest.mark.parametrize("item", BUILT, ids=lambda item: item.stem)
def test_notebooks_are_what_their_master_gives(item):
    for version, path in (
        ("student", student_notebook(item)),
        ("solution", solution_notebook(item)),
    ):
        built = nbformat.writes(build_notebook(master(item), version)) + "\n"
        assert path.read_text("utf-8") == built, "run: q2a lesson build"


def test_the_workshop_kits_notebooks_are_what_their_master_gives_and_run(
    home, tmp_path, monkeypatch
):
    monkeypatch.setenv("Q2A_HOME", str(home))
    masters = workshop_masters()
    assert {path.stem for path in masters} >= {"exit_quiz"}
    for path in masters:
        built = nbformat.writes(build_notebook(path, "student")) + "\n"
        assert path.with_suffix(".ipynb").read_text("utf-8") == built, "run: q2a lesson build"
        result = run_notebook(path.with_suffix(".ipynb"), offline=True, folder=tmp_path)
        assert not result.errors
        assert not result.warnings


@pytest.mark.parametrize("item", BUILT, ids=lambda item: item.stem)
def test_a_lesson_keeps_to_its_form(item):
    notebook = read(student_notebook(item))
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    prose = " ".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert len(code) <= MAX_CODE_CELLS
    assert len(re.findall(r"\w+", prose)) <= MAX_WORDS
    for word in ("Claim", "You need", "Time", "Limits", "Where in the source", "egative control"):
        assert word in prose, f"{item.stem} does not say {word!r}"
    names = [exercise.id for exercise in exercises_of(item.number)]
    checked = re.findall(r"^check\(\"([^\"]+)\"", "\n".join(code), re.MULTILINE)
    assert checked == names, "every exercise is checked once, in the order of the table"
    solutions = [c.source for c in read(solution_notebook(item)).cells if c.cell_type == "code"]
    for student, solved in zip(code, solutions, strict=True):
        exercise = 'check("' in student
        assert exercise or student == solved
        assert exercise or not re.search(r"^(def|class) ", student, re.MULTILINE)


@pytest.mark.parametrize("item", BUILT, ids=lambda item: item.stem)
def test_a_lesson_promises_the_time_that_was_measured(item):
    prose = " ".join(cell.source for cell in read(student_notebook(item)).cells)
    promised = re.search(r"cells(?: themselves)? run in ([^.;,]+)", " ".join(prose.split()))
    assert promised is not None, "say how long the cells run"
    measured = read_times()["lessons"][item.number]["seconds"]
    assert ("second" in promised[1]) == (measured < SECONDS), f"{promised[0]}: {measured} s"


@pytest.mark.course
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("item", BUILT, ids=lambda item: item.stem)
def test_solutions_run_offline_and_pass(item, home, tmp_path, monkeypatch):
    monkeypatch.setenv("Q2A_HOME", str(home))
    result = executed(solution_notebook(item), tmp_path)
    assert not result.errors
    assert not result.warnings
    assert result.passed == [exercise.id for exercise in exercises_of(item.number)]
    CLAIMS.get(item.number, lambda text: None)(printed(result.notebook))


@pytest.mark.course
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("item", BUILT, ids=lambda item: item.stem)
def test_empty_stubs_run_to_the_end_and_none_passes(item, home, tmp_path, monkeypatch):
    monkeypatch.setenv("Q2A_HOME", str(home))
    result = executed(student_notebook(item), tmp_path)
    assert not result.errors
    assert set(result.verdicts) == {exercise.id for exercise in exercises_of(item.number)}
    for verdict in result.verdicts.values():
        assert verdict["state"] == "unfilled"
        assert "Hint: " in verdict["message"]
