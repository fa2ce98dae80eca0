"""What a bench run says: its rows, and a table of them. Imports neither torch nor transformers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from types import MappingProxyType
from typing import Any, Literal

from q2a_core.errors import Q2AError

ROWS = ("first_token", "decode", "train", "mel", "encoder", "ragged")
"""What can be measured of the pipeline, in the order of the table."""
ATTENTION, SERVE, GROWTH, LARGE = "attention", "serve", "growth", "large"
BESIDES = {
    ATTENTION: "Attention",
    SERVE: "Many chats at once",
    GROWTH: "Growth",
    LARGE: "The real size",
}
"""What is measured besides, each in a table of its own."""
WITHOUT_CHECKPOINT = (ATTENTION, LARGE)
"""Those that no checkpoint is opened for."""
TOGETHER = {"generate": ("first_token", "decode")}
"""Names for several rows at once."""
MOST_THREADS = 1024


def named(
    only: Iterable[str] | None,
    *,
    known: tuple[str, ...],
    together: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> tuple[str, ...]:
    """What `only` asks for of `known`, in its order; None asks for everything, names of `together` for several.

    Raises Q2AError for a name that nothing has, and for none at all.
    """
    if only is None:
        return known
    names = [name.strip() for name in only]
    unknown = [name for name in names if name not in known and name not in together]
    if unknown or not names:
        raise Q2AError(
            f"no row is called {', '.join(map(repr, unknown)) or repr('')}; "
            f"known: {', '.join((*known, *together))}"
        )
    wanted = {row for name in names for row in together.get(name, (name,))}
    return tuple(name for name in known if name in wanted)


def check_counts(repeats: int, threads: int | None) -> None:
    """Raises Q2AError for numbers of runs and threads that nothing can be measured with."""
    if repeats < 1:
        raise Q2AError(f"repeats is {repeats}; expected at least 1")
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise Q2AError(f"threads is {threads}; expected 1 to {MOST_THREADS}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One thing measured on two sides, turn about."""

    name: str
    what: str
    """What was done, in words."""
    unit: Literal["s", "tokens/s", "clips/s"]
    ours: list[float]
    """One figure a run, in run order."""
    other: list[float]
    """The other side's, run beside ours."""
    against: str = "transformers"
    """Who the other side is."""
    at_least: float | None = None
    """The bar: how many times better than the other side."""
    at_most: float | None = None
    """The bar of a row whose ratio is a cost: our figure over the other's."""

    @property
    def ratios(self) -> list[float]:
        """One ratio a pair of neighbouring runs; above 1 is better, except for a cost."""
        cost = self.at_most is not None
        ours_over_other = cost or self.unit != "s"
        pairs = zip(self.ours, self.other, strict=True)
        return [a / b if ours_over_other else b / a for a, b in pairs]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: medians, the ratio of the medians, the spread, and every run."""
        ours, other = median(self.ours), median(self.other)
        cost = self.at_most is not None
        ratio = ours / other if cost or self.unit != "s" else other / ours
        met = None
        if self.at_least is not None:
            met = ratio >= self.at_least
        elif self.at_most is not None:
            met = ratio <= self.at_most
        return {
            "name": self.name,
            "what": self.what,
            "unit": self.unit,
            "ours": ours,
            "other": other,
            "against": self.against,
            "ratio": ratio,
            "ratio_lowest": min(self.ratios),
            "ratio_highest": max(self.ratios),
            "at_least": self.at_least,
            "at_most": self.at_most,
            "met": met,
            "runs": {"ours": self.ours, "other": self.other},
        }


def to_markdown(report: dict[str, Any]) -> str:
    """The report as a Markdown table with its conditions above and the correctness gate below."""
    host, checkpoint = report["machine"], report["checkpoint"]
    conditions, gate = report["conditions"], report["gate"]
    lines = [
        f"{checkpoint['name']} ({checkpoint['hash']}), {conditions['dtype']}, "
        f"clip of {conditions['clip_seconds']:g} s; "
        f"{host['processor']}, {host['cores']} cores, torch on {host['threads']}; "
        f"torch {host['torch']}, transformers {host['transformers']}; "
        f"medians, {conditions['repeats']} or more runs of each side, turn about",
        "",
        "| what | q2a | beside it | ratio (range) | bar |",
        "| --- | ---: | ---: | ---: | --- |",
        *(pipeline_line(row) for row in report["rows"]),
        "",
        f"Checked before timing: {gate['greedy_tokens']} greedy tokens the same, logits within "
        f"{gate['logits']:.1e}, loss within {gate['loss']:.1e} (relative), log-mel within {gate['mel']:.1e}.",
    ]
    return "\n".join([*lines, *report["notices"]])


def pipeline_line(row: Mapping[str, Any]) -> str:
    """One row of the table, with its bar."""
    spread = f"{row['ratio']:.2f} ({row['ratio_lowest']:.2f}-{row['ratio_highest']:.2f})"
    ours, other = figure(row["ours"], row["unit"]), figure(row["other"], row["unit"])
    bar = bar_met(row) or "-"
    return f"| {row['what']} | {ours} | {row['against']}: {other} | {spread} | {bar} |"


def bar_met(row: Mapping[str, Any]) -> str:
    """A row's bar, and whether it is met; "" for a row without one."""
    if row["met"] is None:
        return ""
    bound = "at_least" if row["at_least"] is not None else "at_most"
    return f"{bound.replace('_', ' ')} {row[bound]:g}: {'met' if row['met'] else 'missed'}"


def figure(value: float, unit: str) -> str:
    """Three digits and the unit; seconds below one as milliseconds."""
    if unit == "s":
        return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"
    return f"{value:.3g} {unit}" if value < 100 else f"{value:,.0f} {unit}"


def first_line(error: Exception) -> str:
    """What an error says in a line; its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
