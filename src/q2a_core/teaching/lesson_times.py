"""How long each lesson runs: measured once for all, and predicted for the machine at hand.

`q2a lesson time` runs every solution notebook at full length and writes the seconds, with the speed of the machine that
did it, to one file that ships. On another machine a lesson takes its measured seconds, scaled: its start by how long a
notebook's start takes there, the rest by the pace of training, or of listening where the lesson trains nothing.
"""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q2a_core import paths
from q2a_core.errors import Q2AError
from q2a_core.files import write_whole
from q2a_core.progress import OnProgress, unheard
from q2a_core.teaching.course import LESSONS, Lesson, solution_notebook
from q2a_core.teaching.readiness.speed import Speed, machine, measure_speed

FILE = "lesson_times.json"
TRAINS = "lesson_steps("
"""Stands in every cell that trains."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """How long a lesson's cells run here."""

    lesson: Lesson
    seconds: float
    measured: bool
    """Whether the lesson's own time was measured; if not, its stated time was scaled."""

    @property
    def fits(self) -> bool:
        """Whether half the lesson's time in class is left for people; lessons at home always fit."""
        minutes = self.lesson.class_minutes
        return not minutes or self.seconds <= 30 * minutes


def times_file() -> Path:
    """Where the measured times ship."""
    return paths.data_samples() / FILE


def read_times(path: Path | None = None) -> dict[str, Any]:
    """What `measure_lessons` wrote. Raises Q2AError if it is missing or damaged."""
    path = path or times_file()
    try:
        values = json.loads(path.read_text("utf-8"))
        Speed.from_dict(values["speed"])
        seconds = [float(record["seconds"]) for record in values["lessons"].values()]
        if not all(0 < value < 86_400 for value in seconds):
            raise ValueError(f"seconds are {seconds}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Q2AError(
            f"{path.name} cannot be read ({type(error).__name__}: {error}); make it with: q2a lesson time"
        ) from error
    return values


def predict(times: dict[str, Any], here: Speed) -> list[Prediction]:
    """Seconds of every lesson on a machine of that speed."""
    there = Speed.from_dict(times["speed"])
    found = []
    for item in LESSONS:
        record = times["lessons"].get(item.number)
        reference = record["seconds"] if record else item.run_seconds
        trains = record["trains"] if record else trains_something(item)
        ratio = training_pace(here, there) if trains else listening_pace(here, there)
        rest = max(reference - there.start, 0.0)
        found.append(
            Prediction(lesson=item, seconds=here.start + rest * ratio, measured=record is not None)
        )
    return found


def training_pace(here: Speed, there: Speed) -> float:
    """How many times longer training takes here than there."""
    return here.train_step / there.train_step


def listening_pace(here: Speed, there: Speed) -> float:
    """The same for mel, encoder and decoder: their geometric mean."""
    parts = [here.mel / there.mel, here.encode / there.encode, here.decode / there.decode]
    return math.prod(parts) ** (1 / len(parts))


def trains_something(item: Lesson) -> bool:
    """Whether a lesson's notebook has a cell that trains; a lesson that is not here counts as one that does."""
    try:
        return TRAINS in solution_notebook(item).read_text("utf-8")
    except OSError:
        return True


def measure_lessons(
    *,
    on_lesson: Callable[[Lesson, float], None] = lambda lesson, seconds: None,
    on_cell: OnProgress = unheard,
) -> dict[str, Any]:
    """Run every solution notebook at full length, offline and with nothing cached, and this machine's speed.

    `on_lesson` hears of each lesson's seconds. Raises Q2AError if a cell raises or an exercise does not pass.
    """
    from q2a_core.checkpoint import open_checkpoint
    from q2a_core.teaching.checks import exercises_of
    from q2a_core.teaching.run_lesson import STEPS_VARIABLE, run_notebook

    if os.environ.get(STEPS_VARIABLE):
        raise Q2AError(
            f"{STEPS_VARIABLE} is set, which cuts training; unset it to time whole lessons"
        )
    checkpoint = open_checkpoint("mini")
    about = machine()  # the load before this begins to compute
    speed, lessons = measure_speed(), {}
    for item in LESSONS:
        path = solution_notebook(item)
        if not path.is_file():
            continue
        with _home_of_its_own() as folder:
            result = run_notebook(path, offline=True, folder=folder, on_cell=on_cell)
        names = [exercise.id for exercise in exercises_of(item.number)]
        failed = [*result.errors, *(name for name in names if name not in result.passed)]
        if failed:
            raise Q2AError(f"lesson {item.number} does not pass, so it was not timed: {failed[0]}")
        seconds = round(result.seconds, 1)
        lessons[item.number] = {"seconds": seconds, "trains": trains_something(item)}
        on_lesson(item, seconds)
    return {
        "made_by": "q2a lesson time",
        "checkpoint": {"name": checkpoint.name, "hash": checkpoint.hash},
        "machine": about,
        "speed": speed.to_dict(),
        "lessons": lessons,
    }


def write_times(times: dict[str, Any], path: Path | None = None) -> Path:
    """Write the file that ships. Raises Q2AError."""
    path = path or times_file()
    try:
        write_whole(path, json.dumps(times, indent=1) + "\n")
    except OSError as error:
        raise Q2AError(f"cannot write {path}: {error.strerror}; choose another --output") from error
    return path


@contextlib.contextmanager
def _home_of_its_own() -> Iterator[Path]:
    """A fresh home for caches and runs, as a student has who opens this lesson first."""
    before = os.environ.get("Q2A_HOME")
    with tempfile.TemporaryDirectory(prefix="q2a-lesson-", ignore_cleanup_errors=True) as folder:
        os.environ["Q2A_HOME"] = str(Path(folder) / "home")
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["Q2A_HOME"]
            else:
                os.environ["Q2A_HOME"] = before
