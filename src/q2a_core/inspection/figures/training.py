"""Pictures of training and of what it changed, for notebooks: bars, curves, margins."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from q2a_core.inspection.figures.palette import AMBER, GREY, TEAL, VIOLET

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = (TEAL, AMBER, GREY, VIOLET)
HATCHES = ("", "//", "..", "xx")
MARKS = ("o-", "s--", "^:", "d-.")
"""Series differ by more than colour."""
BINS = 17


def figure_bars(
    series: Mapping[str, Mapping[str, float]], *, unit: str, title: str | None = None
) -> "Figure":
    """Bars side by side: name of a series to label to value; a label that a series lacks stays empty."""
    from matplotlib.figure import Figure

    labels = list(dict.fromkeys(label for values in series.values() for label in values))
    figure = Figure(
        figsize=(9, 1.2 + 0.32 * len(labels) * max(len(series), 1)), layout="constrained"
    )
    axes = figure.subplots()
    height = 0.8 / max(len(series), 1)
    for place, (name, values) in enumerate(series.items()):
        kept = [k for k, label in enumerate(labels) if label in values]
        axes.barh(
            [k + place * height for k in kept],
            [values[labels[k]] for k in kept],
            height=height * 0.92,
            color=COLOURS[place % len(COLOURS)],
            hatch=HATCHES[place % len(HATCHES)],
            edgecolor="white",
            label=name,
        )
    axes.set_yticks([k + 0.4 - height / 2 for k in range(len(labels))], labels)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.grid(axis="x", alpha=0.3)
    if len(series) > 1:
        axes.legend()
    if title:
        axes.set_title(title)
    return figure


def figure_curves(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    unit: str,
    title: str | None = None,
) -> "Figure":
    """Several curves over the steps of a run: name to steps (K,) and values (K,); empty ones are left out."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    drawn = {name: curve for name, curve in curves.items() if len(curve[0])}
    for place, (name, (steps, values)) in enumerate(drawn.items()):
        mark = MARKS[place % len(MARKS)]
        axes.plot(
            steps, values, mark, color=COLOURS[place % len(COLOURS)], markersize=3, label=name
        )
    if drawn:
        axes.set_yscale("log")
    axes.set(xlabel="step", ylabel=unit)
    axes.grid(alpha=0.3)
    if drawn:
        axes.legend()
    if title:
        axes.set_title(title)
    return figure


def figure_margins(margins: Mapping[str, np.ndarray], *, title: str | None = None) -> "Figure":
    """Reward margins of pairs (P,) as columns, a row for each set; right of 0 the chosen reply gained."""
    from matplotlib.figure import Figure

    reach = max(
        (float(np.abs(values).max(initial=0.0)) for values in margins.values()), default=0.0
    )
    edges = np.linspace(-(reach or 1.0), reach or 1.0, BINS + 1)
    figure = Figure(figsize=(9, 1.6 + 1.3 * len(margins)), layout="constrained")
    rows = figure.subplots(max(len(margins), 1), 1, sharex=True, squeeze=False)[:, 0]
    for place, (axes, (name, values)) in enumerate(zip(rows, margins.items(), strict=False)):
        counts, _ = np.histogram(values, bins=edges)
        axes.bar(
            edges[:-1],
            counts,
            width=np.diff(edges),
            align="edge",
            color=COLOURS[place % len(COLOURS)],
            edgecolor="white",
        )
        axes.axvline(0.0, color="black", linewidth=0.8)
        axes.set(ylabel="pairs")
        axes.set_title(f"{name}: mean {float(np.mean(values)):.3f}", fontsize="medium")
    rows[-1].set_xlabel("reward margin (the chosen reply gained to the right of 0)")
    if title:
        figure.suptitle(title)
    return figure
