"""The mini Table 2 of several checkpoints side by side, from the `results.json` beside each; needs no torch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from q2a_core.errors import Q2AError
from q2a_core.evaluation.metrics import LOWER_IS_BETTER
from q2a_core.evaluation.results_file import RESULTS_FILE, figure_text, read_results

Verdict = Literal["better", "worse", "within the intervals", ""]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One checkpoint's score in one suite."""

    text: str
    """The value as a person reads it."""
    interval: str
    """The 95 % interval; "" if it has none."""
    value: float
    low: float
    high: float
    n: int
    verdict: Verdict = ""
    """Against the checkpoint in the column before: better or worse where the intervals do not touch. Where they
    overlap, these figures alone do not say; the same clips were asked, so a paired test might."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteRow:
    """One suite over the checkpoints."""

    suite: str
    metric: str
    figures: tuple[Figure | None, ...]
    """None where a checkpoint was not asked this suite."""


def shipped_results(directory: Path) -> dict[str, Any] | None:
    """The report beside a checkpoint; None if it ships none that can be read."""
    try:
        return read_results(directory / RESULTS_FILE)
    except Q2AError:
        return None


def side_by_side(reports: Sequence[Mapping[str, Any] | None]) -> list[SuiteRow]:
    """Every suite that any of the reports has, in the order of the first that has it."""
    tables = [{row["suite"]: row for row in report["rows"]} if report else {} for report in reports]
    names = dict.fromkeys(name for table in tables for name in table)
    rows = []
    for name in names:
        metric = next(table[name]["metric"] for table in tables if name in table)
        figures: list[Figure | None] = []
        for table in tables:
            before = next((figure for figure in reversed(figures) if figure is not None), None)
            figures.append(_figure(table[name], metric, before) if name in table else None)
        rows.append(SuiteRow(suite=name, metric=metric, figures=tuple(figures)))
    return rows


def _figure(row: Mapping[str, Any], metric: str, before: Figure | None) -> Figure:
    score = row["score"]
    value, low, high = (_number(score.get(name)) for name in ("value", "low", "high"))
    known = not (math.isnan(low) or math.isnan(high))
    return Figure(
        text=figure_text(value, metric),
        interval=f"{figure_text(low, metric)} to {figure_text(high, metric)}" if known else "",
        value=value,
        low=low,
        high=high,
        n=int(score.get("n", 0)),
        verdict=_verdict(value, low, high, metric, before),
    )


def _verdict(value: float, low: float, high: float, metric: str, before: Figure | None) -> Verdict:
    if before is None or any(map(math.isnan, (value, low, high, before.low, before.high))):
        return ""
    if low <= before.high and before.low <= high:
        return "within the intervals"
    is_better = value < before.value if metric in LOWER_IS_BETTER else value > before.value
    return "better" if is_better else "worse"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
