"""The course as a table: lessons, what they are about, and their time. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path

from q2a_core import paths
from q2a_core.errors import Q2AError


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """One notebook of the course."""

    number: str
    name: str
    """Of its files, after the number."""
    title: str
    claim: str
    """The one thing that it shows."""
    class_minutes: int
    """With its exercises, in the workshop; 0 for lessons at home."""
    run_seconds: int
    """What all cells may take on two cores, solutions filled in; `lesson_times.py` knows what they took."""

    @property
    def stem(self) -> str:
        """Name of its files without ending."""
        return f"{self.number}_{self.name}"


LESSONS: tuple[Lesson, ...] = (
    Lesson(
        number="00",
        name="start_here",
        title="Start here",
        claim="A clip becomes 25 vectors a second, and a language model answers.",
        class_minutes=10,
        run_seconds=60,
    ),
    Lesson(
        number="01",
        name="sound_to_tokens",
        title="Sound to tokens",
        claim="Seconds become frames and 40 ms tokens by arithmetic that holds for every length.",
        class_minutes=25,
        run_seconds=120,
    ),
    Lesson(
        number="02",
        name="attention_on_audio",
        title="Attention on audio",
        claim="Every audio token has heard the whole clip, and attention reads no padding.",
        class_minutes=20,
        run_seconds=120,
    ),
    Lesson(
        number="03",
        name="audio_to_words",
        title="From audio to words",
        claim="Audio vectors in the place of placeholder tokens are all that the decoder gets.",
        class_minutes=20,
        run_seconds=120,
    ),
    Lesson(
        number="04",
        name="pretrain",
        title="Pre-train",
        claim="Asking in plain language teaches many tasks to one model.",
        class_minutes=20,
        run_seconds=180,
    ),
    Lesson(
        number="05",
        name="sft_and_modes",
        title="SFT and the two modes",
        claim="Voice chat and audio analysis are told apart by what is heard and read, without a switch.",
        class_minutes=20,
        run_seconds=180,
    ),
    Lesson(
        number="06",
        name="dpo",
        title="DPO",
        claim="Pairs of replies move a model towards the truth, and sometimes away from it.",
        class_minutes=20,
        run_seconds=180,
    ),
    Lesson(
        number="07",
        name="look_inside",
        title="Look inside",
        claim="Where a model looks and what makes it answer are two different maps.",
        class_minutes=15,
        run_seconds=120,
    ),
    Lesson(
        number="08",
        name="evaluate_and_report",
        title="Evaluate and report",
        claim="A figure means something only with its conditions beside it.",
        class_minutes=0,
        run_seconds=600,
    ),
    Lesson(
        number="09",
        name="triton_kernel",
        title="The Triton kernel",
        claim="Attention needs no square matrix: tiles and a running maximum are enough.",
        class_minutes=0,
        run_seconds=120,
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A part of the workshop's day."""

    what: str
    """Number of a lesson, or what is done instead."""
    minutes: int


BREAK, QUIZ = "break", "quiz"
BREAK_MINUTES, QUIZ_MINUTES = 10, 10
BREAKS_AFTER = ("02", "04")


def workshop() -> tuple[Block, ...]:
    """The day in order: lessons with their minutes in class, the breaks, the exit quiz."""
    blocks = []
    for item in LESSONS:
        if item.class_minutes:
            blocks.append(Block(what=item.number, minutes=item.class_minutes))
        if item.number in BREAKS_AFTER:
            blocks.append(Block(what=BREAK, minutes=BREAK_MINUTES))
    return (*blocks, Block(what=QUIZ, minutes=QUIZ_MINUTES))


def lesson(number: str | int) -> Lesson:
    """The lesson of a number such as 1 or "01". Raises Q2AError."""
    wanted = str(number).zfill(2)
    for item in LESSONS:
        if item.number == wanted:
            return item
    raise Q2AError(f"there is no lesson {number}; expected 0 to {int(LESSONS[-1].number)}")


def student_notebook(item: Lesson) -> Path:
    """The notebook that ships, with empty stubs."""
    return paths.notebooks() / f"{item.stem}.ipynb"


def solution_notebook(item: Lesson) -> Path:
    """The notebook that ships, with every stub filled."""
    return paths.notebooks() / "solutions" / f"{item.stem}.ipynb"


def master(item: Lesson) -> Path:
    """The one source of both notebooks, in percent format."""
    return paths.notebooks() / "masters" / f"{item.stem}.py"
