"""`check("01.frames", answer)`: an instant verdict on an exercise, with the usual mistakes explained.

A lesson's exercises are imported when the first of them is checked.
"""

import importlib
from typing import Any

from q2a_core.errors import Q2AError
from q2a_core.teaching.course import LESSONS
from q2a_core.teaching.exercise import Exercise, Verdict, judged
from q2a_core.teaching.progress import note_passed
from q2a_core.teaching.verdict_log import is_practice, write_verdict

__all__ = ["check", "exercise", "exercises_of"]


def check(name: str, answer: Any) -> Verdict:
    """The verdict on an answer; what passes is noted for the certificate. Raises Q2AError for an unknown exercise.

    Where `q2a lesson check` runs the notebook it is told of the verdict, whatever the cell does with it.
    """
    verdict = judged(exercise(name), answer)
    write_verdict(verdict)
    if verdict and not is_practice():
        note_passed(name)
    return verdict


def exercise(name: str) -> Exercise:
    """The exercise of that id. Raises Q2AError."""
    number = name.partition(".")[0]
    known = exercises_of(number)
    for item in known:
        if item.id == name:
            return item
    names = ", ".join(item.id for item in known) or "none"
    raise Q2AError(
        f"there is no exercise {name!r}; the lesson has: {names}. If this notebook is an older copy, "
        f"q2a lesson reset {int(number)} brings today's and keeps yours"
    )


def exercises_of(number: str) -> tuple[Exercise, ...]:
    """The exercises of a lesson, by its number such as "01". Raises Q2AError for a lesson that does not exist."""
    if number not in {lesson.number for lesson in LESSONS}:
        numbers = ", ".join(lesson.number for lesson in LESSONS)
        raise Q2AError(f"there is no lesson {number!r}; expected one of {numbers}")
    try:
        module = importlib.import_module(f"q2a_core.teaching.checks.lesson_{number}")
    except ModuleNotFoundError as error:
        if error.name != f"q2a_core.teaching.checks.lesson_{number}":
            raise
        return ()
    return module.EXERCISES
