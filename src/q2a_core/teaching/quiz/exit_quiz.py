"""The exit quiz: its questions in a fixed shuffled order, the score of a set of answers, and the user's best one kept.

What is kept are the chosen options, not the score: it is counted again whenever it is asked for.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from q2a_core import paths
from q2a_core.errors import Q2AError
from q2a_core.files import json_or_none, write_whole
from q2a_core.teaching.quiz.questions import Option, Question, questions

FILE = "quiz.json"
LETTERS = "abcd"


@dataclass(frozen=True, kw_only=True, slots=True)
class QuizResult:
    """How many of how many."""

    right: int
    total: int

    def __str__(self) -> str:
        return f"{self.right} of {self.total}"


def shuffled(question: Question) -> tuple[Option, ...]:
    """The options as they are shown: the same order on every machine, and the right one not always first."""

    def key(option: Option) -> bytes:
        return hashlib.sha256(f"{question.id}|{question.options.index(option)}".encode()).digest()

    return tuple(sorted(question.options, key=key))


def question(name: str) -> Question:
    """The question of that id. Raises Q2AError."""
    for item in questions():
        if item.id == name:
            return item
    raise Q2AError(f"there is no question {name!r}; known: {', '.join(q.id for q in questions())}")


def chosen(item: Question, letter: str) -> Option:
    """The option that stands at a letter. Raises Q2AError for another."""
    place = LETTERS.find(letter.strip().lower()) if len(letter.strip()) == 1 else -1
    options = shuffled(item)
    if not 0 <= place < len(options):
        letters = ", ".join(LETTERS[: len(options)])
        raise Q2AError(f"{letter.strip()[:20]!r} is no option; expected one of {letters}")
    return options[place]


def graded(answers: Mapping[str, str]) -> QuizResult:
    """The score of {question: text of the chosen option}; what is missing or unknown counts as wrong."""
    right = sum(
        any(option.right and answers.get(item.id) == option.text for option in item.options)
        for item in questions()
    )
    return QuizResult(right=right, total=len(questions()))


def kept_answers() -> dict[str, str]:
    """The best set of answers so far; {} before the first."""
    values = json_or_none(paths.lessons_dir() / FILE) or {}
    return {str(name): text for name, text in values.items() if isinstance(text, str)}


def keep_answers(answers: Mapping[str, str]) -> QuizResult:
    """Keep a set of answers if none better is kept; returns its score. A folder that cannot be written loses them."""
    result = graded(answers)
    before = kept_answers()
    if before and graded(before).right >= result.right:
        return result
    try:
        folder = paths.lessons_dir()
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / FILE, json.dumps(dict(answers), indent=1, ensure_ascii=False))
    except OSError:
        pass
    return result


def explained(item: Question, option: Option) -> list[tuple[str, str, str]]:
    """Every option after one was chosen: mark, text, and why; the chosen one is marked too."""
    rows = []
    for letter, other in zip(LETTERS, shuffled(item), strict=False):
        mark = "✔" if other.right else "✘" if other is option else " "
        rows.append((mark, f"{letter}) {other.text}", other.why))
    return rows
