"""An exercise of the course and the verdict on an answer.

A lesson's exercises lie in `checks/lesson_NN.py`: each has its card and a judge, a function that takes the student's
answer and says whether it is right, and if not, which usual mistake it looks like. Judges call the answer through
`call`, so that an empty stub and a crash become verdicts too, and a check never ends in a traceback.
"""

import dis
import html
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from q2a_core.teaching.beside import beside_html
from q2a_core.teaching.first_lines import first_lines

State = Literal["passed", "unfilled", "wrong"]
MARKS: dict[State, str] = {"passed": "✔", "unfilled": "…", "wrong": "✘"}
COLOURS: dict[State, str] = {"passed": "#0072b2", "unfilled": "#8a6d00", "wrong": "#c04000"}
"""Readable on light and on dark, and told apart without red and green."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a check says; true if the answer passed. Jupyter draws it."""

    state: State
    message: str
    """Names the mistake and where to look, never the solution."""
    rows: tuple[tuple[str, str, str], ...] = ()
    """Cases: what went in, what came out, what was expected."""
    yours: Any = None
    """Array (N,) or (N, M) of the answer, drawn beside `expected`."""
    expected: Any = None
    exercise: str = ""
    title: str = ""

    def __bool__(self) -> bool:
        return self.state == "passed"

    def __repr__(self) -> str:
        lines = [f"{MARKS[self.state]} {self.exercise} {self.title}: {self.message}"]
        lines += [f"   {case}: yours {yours}, expected {due}" for case, yours, due in self.rows]
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": repr(self), "text/html": self._html()}

    def _html(self) -> str:
        colour = COLOURS[self.state]
        parts = [
            f'<div style="border-left:4px solid {colour};padding:4px 10px;max-width:52em">',
            f'<b style="color:{colour}">{MARKS[self.state]} {html.escape(self.exercise)}</b> ',
            f"<b>{html.escape(self.title)}</b><br>{html.escape(self.message)}",
        ]
        if self.rows:
            cells = "".join(
                "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in row) + "</tr>"
                for row in self.rows
            )
            parts.append(
                f"<table><tr><th>case</th><th>yours</th><th>expected</th></tr>{cells}</table>"
            )
        if self.yours is not None and self.expected is not None:
            parts.append(beside_html(self.yours, self.expected))
        return "".join([*parts, "</div>"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Exercise:
    """One exercise and who judges it."""

    id: str
    """Lesson and name: "01.frames"."""
    title: str
    difficulty: int
    """1 to 5."""
    importance: int
    """1 to 5; 4 and 5 should be done in class."""
    minutes: int
    """A student's, measured or guessed."""
    hint: str
    judge: Callable[[Any], Verdict]
    """Takes the answer, in most exercises a function; what the answer raises may pass through `call`."""


class Unfilled(Exception):
    """The stub is still empty."""


class ReturnedNothing(Exception):
    """The answer does something and returns None."""


class NoFunction(Exception):
    """The answer is a value of the type that this is named after, where a function is wanted."""


class Broke(Exception):
    """The answer raised."""

    def __init__(self, error: BaseException):
        super().__init__(str(error))
        self.error = error


def passed(message: str, **details: Any) -> Verdict:
    """The answer is right; the message says what it shows."""
    return Verdict(state="passed", message=message, **details)


def wrong(message: str, **details: Any) -> Verdict:
    """The answer is wrong; the message names the mistake."""
    return Verdict(state="wrong", message=message, **details)


def call(answer: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What the student's function returns; raises NoFunction, Unfilled, ReturnedNothing or Broke where it does not."""
    if not callable(answer):
        raise NoFunction(type(answer).__name__)
    try:
        value = answer(*arguments, **options)
    except Unfilled:
        raise
    except (Exception, SystemExit) as error:
        # a bare one is a stub's; torch says with one, in words, that it lacks an operation for a dtype
        if isinstance(error, NotImplementedError) and not error.args:
            raise Unfilled from error
        raise Broke(error) from error
    if value is None or value is Ellipsis:
        raise Unfilled if _is_stub(answer) else ReturnedNothing
    return value


EMPTY = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
"""Instructions of a body that holds a docstring, `...`, `pass` or `return None` and nothing else."""


def _is_stub(answer: Callable[..., Any]) -> bool:
    """Whether a function does nothing at all; its source may be out of reach, its instructions are not."""
    code = getattr(answer, "__code__", None)
    return code is not None and all(step.opname in EMPTY for step in dis.get_instructions(code))


def judged(exercise: Exercise, answer: Any) -> Verdict:
    """The verdict on an answer, whatever it does."""
    state: State = "wrong"
    rows: tuple[tuple[str, str, str], ...] = ()
    yours = expected = None
    try:
        if answer is None or answer is Ellipsis:
            raise Unfilled
        with first_lines():
            found = exercise.judge(answer)
        state, message, rows = found.state, found.message, found.rows
        yours, expected = found.yours, found.expected
    except Unfilled:
        state = "unfilled"
        message = (
            "nothing to check yet: fill in the stub above and run the cell again. Hint: "
            + exercise.hint
        )
    except ReturnedNothing:
        message = "your function returned None: is a `return` missing?"
    except NoFunction as found:
        message = (
            f"found a value of type {found}, expected your function itself: its name alone, without brackets "
            "behind it"
        )
    except Broke as broke:
        message = f"your code raised {type(broke.error).__name__}: {broke.error}{_where(broke)}"
    except Exception as error:
        # an answer of a kind that the judge did not foresee
        message = (
            f"the check could not use this answer ({type(error).__name__}: {error}); expected what the "
            "exercise's first lines describe: look at types and shapes"
        )
    return Verdict(
        state=state,
        message=message,
        rows=rows,
        yours=yours,
        expected=expected,
        exercise=exercise.id,
        title=exercise.title,
    )


def _where(broke: Broke) -> str:
    """The student's own line, if the crash has one."""
    frames = traceback.extract_tb(broke.error.__traceback__)
    own = [frame for frame in frames if "ipykernel" in frame.filename or "<" in frame.filename]
    return f" (line {own[-1].lineno} of your cell: {own[-1].line})" if own and own[-1].line else ""
