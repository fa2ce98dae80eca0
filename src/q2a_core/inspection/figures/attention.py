"""Pictures of the lesson on attention: a square map over the clip's time, and how far one audio token reaches."""

from typing import TYPE_CHECKING

import numpy as np

from q2a_core import lengths
from q2a_core.inspection.figures.palette import AMBER, COLOUR_MAP, TEAL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from q2a_core.inspection.reach import Reach

SPANS = (("stands for", TEAL), ("reads", AMBER), ("knows of", "#57534e"))


def figure_squares(maps: np.ndarray, *, titles: list[str]) -> "Figure":
    """Attention maps (n, P, P) side by side: rows are places that read, columns places that are read, in seconds.

    Brightness is the square root of the weight, each map on its own scale: most weights are small.
    """
    from matplotlib.figure import Figure

    if len(maps) != len(titles):
        raise ValueError(f"{len(titles)} titles were given for {len(maps)} maps")
    figure = Figure(figsize=(3.0 * len(maps) + 0.6, 3.4), layout="constrained")
    seconds = maps.shape[-1] * lengths.TOKEN_SECONDS
    row = figure.subplots(1, len(maps), squeeze=False)[0]
    for axes, values, title in zip(row, maps, titles, strict=True):
        axes.imshow(
            np.sqrt(values),
            cmap=COLOUR_MAP,
            interpolation="nearest",
            extent=(0, seconds, seconds, 0),
        )
        axes.set_title(title, fontsize="small")
        axes.set_xlabel("is read (s)")
    row[0].set_ylabel("reads (s)")
    return figure


def figure_reach(reach: "Reach", samples: np.ndarray) -> "Figure":
    """The three spans of one audio token over its clip's waveform (S,), and how strongly each mel frame moves it.

    Above, by the arithmetic of `lengths`; below, as measured: exact zeros are not drawn.
    """
    from matplotlib.figure import Figure

    rate, token = lengths.SAMPLE_RATE, reach.token
    figure = Figure(figsize=(9, 5), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 3])
    top.plot(np.arange(len(samples)) / rate, samples, linewidth=0.5, color="#a8a29e")
    spans = (
        lengths.token_span(token),
        lengths.token_receptive_field(token),
        (0, len(samples)),
    )
    high = float(np.abs(samples).max(initial=0.0)) or 1.0
    for place, ((name, colour), (start, stop)) in enumerate(zip(SPANS, spans, strict=True)):
        y = high * (1.15 + 0.3 * place)
        top.plot(
            [start / rate, stop / rate], [y, y], color=colour, linewidth=5, solid_capstyle="butt"
        )
        length = 1000 * (stop - start) / rate
        top.text(
            stop / rate if place < 2 else len(samples) / rate / 2,
            y,
            f"  {name} {length:g} ms",
            va="center" if place < 2 else "bottom",
            fontsize="small",
            color=colour,
        )
    top.set(ylim=(-1.1 * high, 2.1 * high), yticks=[], ylabel=f"audio token {token}")
    centres = np.arange(len(reach.before)) * lengths.HOP_LENGTH / rate
    for values, name, colour, mark in (
        (reach.after, "after attention", "#57534e", "."),
        (reach.before, "before attention", AMBER, "o"),
    ):
        shown = values > 0
        bottom.plot(
            centres[shown],
            values[shown] / values.max(),
            mark,
            markersize=4,
            color=colour,
            label=name,
        )
    bottom.set(yscale="log", xlabel="seconds", ylabel="effect of a mel frame\n(strongest is 1)")
    bottom.set_xlim(0, len(samples) / rate)
    bottom.legend(loc="upper right")
    return figure
