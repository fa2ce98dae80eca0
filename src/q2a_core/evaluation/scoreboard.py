"""The shipped reports side by side: what each checkpoint scored on the same test clips, with the paper's column beside.

Reports are what `q2a eval --output` wrote. Those of one book of test speech stand in one table; figures of different
clips do not. Needs no torch.
"""

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q2a_core import paths
from q2a_core.errors import Q2AError
from q2a_core.evaluation.metrics import LOWER_IS_BETTER
from q2a_core.evaluation.mini_suites import MINI_SUITES
from q2a_core.evaluation.results_file import RESULTS_FILE, figure_text, read_results
from q2a_core.evaluation.tables import BESIDE, paper_cells


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """One checkpoint's results."""

    name: str
    hash: str
    values: dict[str, Any]
    """The whole report."""

    @property
    def book(self) -> str:
        """Names the test speech; reports of the same book heard the same clips."""
        return str(self.values.get("conditions", {}).get("book", ""))

    @property
    def examples(self) -> list[dict[str, Any]]:
        return self.values.get("examples", [])


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One checkpoint's figure in one suite."""

    value: float
    low: float
    high: float
    n: int
    control: float | None
    """The same suite with the clips swapped; None where none was measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BoardRow:
    """One suite."""

    suite: str
    metric: str
    cells: tuple[Cell | None, ...]
    """In the order of the board's reports."""
    paper: tuple[str, str, str]
    """Test set, Qwen2-Audio and the official re-run, in Markdown; empty where nothing measures the same."""

    @property
    def lower_is_better(self) -> bool:
        return self.metric in LOWER_IS_BETTER

    @property
    def most(self) -> float:
        """Where an axis for this row ends: the metric's most, or what was found where it has none."""
        known = [cell for cell in self.cells if cell]
        found = [x for cell in known for x in (cell.high, cell.control or 0.0) if math.isfinite(x)]
        full = 100.0 if self.metric == "BLEU" else 10.0 if "0-10" in self.metric else 1.0
        return max([full, *found])

    def text(self, value: float) -> str:
        """A figure as the tables write it."""
        return figure_text(value, self.metric)


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """All reports on the same clips."""

    book: str
    reports: tuple[Report, ...]
    rows: tuple[BoardRow, ...]


def shipped_reports(other: str | Path | None = None) -> tuple[list[Report], list[str]]:
    """Reports of the shipped checkpoints and of the directory `other`, and a sentence for each that cannot be read.

    A report lies beside its checkpoint; one in `data_samples` itself counts for the checkpoint that it names.
    """
    shipped = paths.shipped_checkpoints()
    directories = list(shipped.values())
    places = {
        name: directory / RESULTS_FILE
        for name, directory in shipped.items()
        if name != "mini" or directories.count(directory) == 1  # else it is another's second name
    }
    if other is not None and str(other) not in shipped:
        with suppress(RuntimeError):  # the home directory of nobody
            directory = Path(other).expanduser()
            places[directory.name] = directory / RESULTS_FILE
    reports, problems = [], []
    for name, path in places.items():
        found = _read(path, name, problems)
        reports += [found] if found else []
    have = {report.name for report in reports}
    loose = _read(paths.data_samples() / RESULTS_FILE, None, problems)
    if loose and loose.name in places and loose.name not in have:
        reports.append(loose)
    return reports, problems


def boards(reports: list[Report]) -> list[Board]:
    """One board for each book of test speech, the largest first."""
    by_book: dict[str, list[Report]] = {}
    for report in reports:
        by_book.setdefault(report.book, []).append(report)
    made = [_board(book, group) for book, group in by_book.items()]
    return sorted(made, key=lambda board: -len(board.rows))


def _board(book: str, reports: list[Report]) -> Board:
    suites: dict[str, str] = {}
    for report in reports:
        suites |= {row["suite"]: row["metric"] for row in report.values["rows"]}
    # suites of the first world share a name with ours and ask something easier
    known = {suite.name: suite.seed for suite in MINI_SUITES}
    rows = []
    for suite, metric in suites.items():
        found = [_row_of(report, suite) for report in reports]
        is_ours = any(row and row.get("seed") == known.get(suite, -1) for row in found)
        cells = paper_cells(*BESIDE.get(suite, ("", ""))) if is_ours else ["", "", ""]
        rows.append(
            BoardRow(
                suite=suite,
                metric=metric,
                cells=tuple(_cell(row) if row else None for row in found),
                paper=(cells[0], cells[1], cells[2]),
            )
        )
    return Board(book=book, reports=tuple(reports), rows=tuple(rows))


def _row_of(report: Report, suite: str) -> dict[str, Any] | None:
    return next((row for row in report.values["rows"] if row["suite"] == suite), None)


def _cell(row: dict[str, Any]) -> Cell:
    score, control = row["score"], row.get("control")
    return Cell(
        value=score["value"],
        low=score["low"],
        high=score["high"],
        n=score["n"],
        control=control["value"] if control else None,
    )


def _read(path: Path, name: str | None, problems: list[str]) -> Report | None:
    """A report, or None where there is no file or no report in it; the latter is a problem."""
    try:
        values = read_results(path)
    except Q2AError as error:
        where = f"{name}/" if name else ""
        problems.append(
            f"{where}{error}; write it again: q2a eval --model {name or 'mini'} --output {RESULTS_FILE}"
        )
        return None
    if values is None:
        return None
    checkpoint = values["checkpoint"]
    return Report(name=name or checkpoint["name"], hash=checkpoint["hash"], values=values)
