"""Bench runs that were kept, read back as bars: one chart for each thing that was measured.

`data_samples/bench.json` is of a computer without a GPU, `bench_gpu.json` of one with it; each is what `q2a bench
--output` writes, whole or some of its rows. Needs neither torch nor transformers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q2a_core import paths
from q2a_core.bench.report import ATTENTION, GROWTH, LARGE, SERVE, bar_met, figure
from q2a_core.errors import Q2AError
from q2a_core.inspection.wording import counted

FILE, GPU_FILE = "bench.json", "bench_gpu.json"
COMMAND = f"q2a bench --output data_samples/{FILE}"
OURS, OTHER = "q2a", "transformers"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One side's figure."""

    name: str
    value: float
    text: str
    ours: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class BarGroup:
    """What is compared: bars of one unit, and what comes of it."""

    what: str
    bars: tuple[Bar, ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """One thing that was measured, with the machine it was measured on."""

    title: str
    conditions: str
    groups: tuple[BarGroup, ...]
    notes: tuple[str, ...] = ()


def read_bench(path: str | Path | None = None) -> dict[str, Any] | None:
    """The kept report, by default the shipped one; None if there is none. Raises Q2AError if it is no report."""
    path = paths.data_samples() / FILE if path is None else Path(path)
    if not path.is_file():
        return None
    try:
        report = json.loads(path.read_text("utf-8"))
        if not charts(report):
            raise ValueError("nothing was measured")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Q2AError(
            f"{path.name} is no report of `q2a bench`; make it again: {COMMAND}"
        ) from error
    return report


def recorded_charts() -> list[Chart]:
    """All that was kept; a GPU's figures stand in for what says that it needs one. Raises Q2AError as above."""
    here, on_gpu = read_bench(), read_bench(paths.data_samples() / GPU_FILE)
    if here is not None and on_gpu is not None and LARGE in on_gpu:
        here = {name: part for name, part in here.items() if name != LARGE}
    return [chart for report in (here, on_gpu) if report is not None for chart in charts(report)]


def charts(report: Mapping[str, Any]) -> list[Chart]:
    """Everything that a report holds."""
    found = []
    if "rows" in report:
        found.append(_pipeline(report))
    for name, make in (
        (GROWTH, _growth),
        (SERVE, _serve),
        (ATTENTION, _attention),
        (LARGE, _large),
    ):
        if name in report:
            found += make(report[name])
    return found


def _pipeline(report: Mapping[str, Any]) -> Chart:
    about, gate = report["conditions"], report["gate"]
    return Chart(
        title="Side by side with transformers, same weights",
        conditions=f"{_checkpoint(report)}, {about['dtype']}, clip of {about['clip_seconds']:g} s; "
        f"{_machine(report['machine'])}; medians of {about['repeats']} runs or more, turn about",
        groups=tuple(_row(row) for row in report["rows"]),
        notes=(
            f"Checked before timing: {gate['greedy_tokens']} greedy tokens the same, logits within "
            f"{gate['logits']:.1e}.",
            *report["notices"],
        ),
    )


def _row(row: Mapping[str, Any]) -> BarGroup:
    note = f"ratio {row['ratio']:.2f} ({row['ratio_lowest']:.2f} to {row['ratio_highest']:.2f})"
    if bar := bar_met(row):
        note += f", bar {bar}"
    sides = ((OURS, row["ours"]), (row["against"], row["other"]))
    return BarGroup(what=row["what"], bars=_bars(sides, row["unit"]), note=note)


def _growth(report: Mapping[str, Any]) -> list[Chart]:
    about = f"{_checkpoint(report)}; {_machine(report['machine'])}; medians of {report['repeats']}"
    first = [
        _pair(f"clip of {row['seconds']:g} s", row, "s") for row in report["first_token_seconds"]
    ]
    training = [
        _pair(f"{counted(row['batch_size'], 'clip')} in a batch", row, "clips/s")
        for row in report["training_clips_per_second"]
    ]
    memory = report["process_memory_bytes"]
    notes = ()
    if memory:
        notes = (
            f"Peak memory of a process that answers one clip: {memory['ours'] / 1e6:.0f} MB, {OTHER} "
            f"{memory['other'] / 1e6:.0f} MB.",
        )
    return [
        Chart(
            title="Time to first token grows with the clip",
            conditions=about,
            groups=tuple(first),
            notes=notes,
        ),
        Chart(
            title="Training speed",
            conditions=f"{about}; clips of {report['training_clip_seconds']:g} s",
            groups=tuple(training),
        ),
    ]


def _pair(what: str, row: Mapping[str, Any], unit: str) -> BarGroup:
    ratio = row["other"] / row["ours"] if unit == "s" else row["ours"] / row["other"]
    sides = ((OURS, row["ours"]), (OTHER, row["other"]))
    return BarGroup(what=what, bars=_bars(sides, unit), note=f"{ratio:.1f} times as fast")


def _serve(report: Mapping[str, Any]) -> list[Chart]:
    groups = []
    for row in report["rows"]:
        sides = tuple(
            (f"whole reply, {share}", seconds) for share, seconds in row["reply_seconds"].items()
        )
        note = f"{row['replies_per_second']:.1f} replies/s"
        groups.append(
            BarGroup(what=f"{row['chats']} chats at once", bars=_bars(sides, "s"), note=note)
        )
    about = (
        f"{_checkpoint(report)}, clips of {report['clip_seconds']:g} s, {report['new_tokens']} tokens a reply; "
        f"{_machine(report['machine'])}"
    )
    return [Chart(title="Many chats on one model", conditions=about, groups=tuple(groups))]


def _attention(report: Mapping[str, Any]) -> list[Chart]:
    made = []
    for part, title in (("forward", "forward"), ("forward_backward", "forward and backward")):
        groups = []
        for row in report["rows"]:
            sides = tuple(
                (name, values[part]["seconds"]) for name, values in row["contenders"].items()
            )
            groups.append(BarGroup(what=row["what"], bars=_bars(sides, "s"), note=""))
        about = (
            f"{report['device']}, {report['dtype']}; torch {report['machine']['torch']}, triton "
            f"{report['machine']['triton'] or 'not installed'}; medians, turn about"
        )
        on_gpu = "" if report["device"] == "cpu" else " on a GPU"
        title = f"Attention{on_gpu}, {title}"
        made.append(Chart(title=title, conditions=about, groups=tuple(groups)))
    return made


def _large(report: Mapping[str, Any]) -> list[Chart]:
    title = "The real size, random weights"
    if "not_measured" in report:
        why = f"Not measured; it {report['not_measured']}."
        return [Chart(title=title, conditions="", groups=(), notes=(why,))]
    host = report["machine"]
    about = (
        f"{report['parameters'] / 1e9:.2f} billion weights in {report['dtype']} on {host['device']}; torch "
        f"{host['torch']}, transformers {host['transformers']}"
    )
    notes = [f"Left out: {name} ({why})." for name, why in report["left_out"].items()]
    groups = tuple(_row(row) for row in report["rows"])
    return [Chart(title=title, conditions=about, groups=groups, notes=tuple(notes))]


def _bars(sides: Any, unit: str) -> tuple[Bar, ...]:
    return tuple(
        Bar(name=name, value=float(value), text=figure(value, unit), ours=name.startswith(OURS))
        for name, value in sides
    )


def _checkpoint(report: Mapping[str, Any]) -> str:
    return f"{report['checkpoint']['name']} ({report['checkpoint']['hash']})"


def _machine(host: Mapping[str, Any]) -> str:
    return (
        f"{host['processor']}, {host['cores']} cores, torch on {host['threads']}; torch {host['torch']}, transformers "
        f"{host['transformers']}"
    )
