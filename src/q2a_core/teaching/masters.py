"""From one master file to two notebooks: the student's with stubs, and the solutions.

A master is a script in percent format. A cell `# %% exercise="01.frames"` holds both versions of an answer:

    def frames(samples):
        # SOLUTION
        return samples // 160
        # STUB
        # return None
        # END

    check("01.frames", frames)

The student's notebook keeps the stub, uncommented; the solutions keep the solution. In front of the cell comes the
exercise's card, from the table beside its judge. Needs jupytext, which is in the dev extra.
"""

import hashlib
import html
from pathlib import Path
from typing import Any, Literal

from q2a_core import paths
from q2a_core.errors import Q2AError
from q2a_core.teaching.checks import exercise
from q2a_core.teaching.course import (
    LESSONS,
    Lesson,
    master,
    solution_notebook,
    student_notebook,
)
from q2a_core.teaching.exercise import Exercise

Version = Literal["student", "solution"]
SOLUTION, STUB, END = "# SOLUTION", "# STUB", "# END"


def build_notebook(path: str | Path, version: Version) -> Any:
    """The notebook (an nbformat node, without outputs) that a master gives. Raises Q2AError for bad marks."""
    import jupytext
    import nbformat

    source = jupytext.read(path)
    cells = []
    for cell in source.cells:
        name = cell.metadata.get("exercise")
        text = cell.source
        if cell.cell_type == "code" and name:
            cells.append(nbformat.v4.new_markdown_cell(card(exercise(name))))
            try:
                text = keep(text, version)
            except Q2AError as error:
                raise Q2AError(f"{Path(path).name}, exercise {name}: {error}") from error
        new = (
            nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        )
        cells.append(new(text))
    for place, cell in enumerate(cells):
        # the same master gives the same bytes
        cell["id"] = hashlib.sha256(f"{place}:{cell.source}".encode()).hexdigest()[:8]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def keep(source: str, version: Version) -> str:
    """A cell with either the solutions or the stubs in it, and no mark. Raises Q2AError for marks out of order."""
    kept, state = [], ""
    for line in source.splitlines():
        mark = line.strip()
        if mark in (SOLUTION, STUB, END):
            if {SOLUTION: "", STUB: SOLUTION, END: STUB}[mark] != state:
                raise Q2AError(f"found {mark!r} after {state or 'no mark'!r}")
            state = "" if mark == END else mark
        elif not state or (state == SOLUTION and version == "solution"):
            kept.append(line)
        elif state == STUB and version == "student":
            kept.append(_uncommented(line))
    if state:
        raise Q2AError(f"{state!r} has no end")
    return "\n".join(kept)


def card(item: Exercise) -> str:
    """The Markdown in front of an exercise."""
    return (
        f"### ✎ {item.id} · {item.title}\n\n"
        f"difficulty {_dots(item.difficulty)} · importance {_dots(item.importance)} · "
        f"about {item.minutes} minutes\n\n"
        f"<details><summary>hint</summary>{html.escape(item.hint, quote=False)}</details>"
    )


def build_all(only: Lesson | None = None) -> list[Path]:
    """Write the notebooks of every master that exists, the workshop kit's too, or of one lesson; returns the files."""
    import nbformat

    written = []
    for item in [only] if only else LESSONS:
        if not master(item).is_file():
            continue
        targets: dict[Version, Path] = {
            "student": student_notebook(item),
            "solution": solution_notebook(item),
        }
        for version, target in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(build_notebook(master(item), version), target)
            written.append(target)
    for source in [] if only else workshop_masters():
        nbformat.write(build_notebook(source, "student"), source.with_suffix(".ipynb"))
        written.append(source.with_suffix(".ipynb"))
    return written


def workshop_masters() -> list[Path]:
    """Notebooks of the workshop kit that are no lessons; each lies beside its own."""
    return sorted((paths.notebooks() / "workshop").glob("*.py"))


def _dots(count: int) -> str:
    return "●" * count + "○" * (5 - count)


def _uncommented(line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    text = line.strip()
    if text and not text.startswith("#"):
        raise Q2AError(f"the stub's line {text!r} is no comment")
    return (indent + text.removeprefix("#").removeprefix(" ")).rstrip()
