"""Pictures of looking and causing: the two maps under one waveform, the listening meter."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from q2a_core import lengths
from q2a_core.inspection.figures.palette import COLOUR_MAP, SIGNED_COLOUR_MAP, TEAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from q2a_core.inspection.causes import CausalMap
    from q2a_core.inspection.listening import Listening


def figure_look_and_cause(
    samples: Any,
    look: np.ndarray,
    cause: "CausalMap",
    *,
    first: int = 0,
    stop: int | None = None,
    title: str | None = None,
) -> "Figure":
    """Under the waveform (S,): what reply tokens [first, stop) read, `look` (L, windows), and what they need.

    All on one time axis in seconds; the window that a row marks most has a frame around it.
    """
    from matplotlib.figure import Figure

    samples = np.asarray(getattr(samples, "samples", samples), dtype=np.float32).reshape(-1)
    change = cause.of(first, stop)
    if look.shape[-1] != change.shape[-1]:
        raise ValueError(f"look has {look.shape[-1]} windows and the map {change.shape[-1]}")
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    wave, reads, needs = figure.subplots(
        3, 1, sharex=True, height_ratios=[1.2, len(look), len(change)]
    )
    wave.plot(np.arange(len(samples)) / lengths.SAMPLE_RATE, samples, linewidth=0.5, color=TEAL)
    seconds = len(samples) / lengths.SAMPLE_RATE
    wave.set(yticks=[], xlim=(0, max(seconds, lengths.TOKEN_SECONDS * cause.windows[-1][1])))
    labels = [f"decoder {layer + 1}" for layer in range(len(look))]
    _map(reads, look, cause.windows, labels, low=0.0, unit="attention", strongest=look.argmax(-1))
    names = [site.label for site in cause.sites]
    _map(
        needs,
        change,
        cause.windows,
        names,
        low=None,
        unit="nats",
        strongest=np.abs(change).argmax(-1),
    )
    reads.set_ylabel("looks")
    needs.set(ylabel="needs", xlabel="seconds")
    if title:
        wave.set_title(title)
    return figure


def _map(
    axes: "Axes",
    values: np.ndarray,
    windows: Sequence[tuple[int, int]],
    labels: list[str],
    *,
    low: float | None,
    unit: str,
    strongest: np.ndarray,
) -> None:
    """Windows need not be of one width; without `low` the scale lies around 0."""
    edges = lengths.TOKEN_SECONDS * np.array([windows[0][0], *(stop for _, stop in windows)])
    rows = np.arange(len(values) + 1) - 0.5
    high = float(np.abs(values).max(initial=0.0)) or 1.0
    mesh = axes.pcolormesh(
        edges,
        rows,
        values,
        cmap=SIGNED_COLOUR_MAP if low is None else COLOUR_MAP,
        vmin=-high if low is None else low,
        vmax=high,
    )
    for row, column in enumerate(strongest):
        left, width = edges[column], edges[column + 1] - edges[column]
        frame = [left, left + width, left + width, left, left]
        edge = "#111111" if low is None else "#2dd4bf"  # seen on every colour of its map
        axes.plot(frame, row + np.array([-0.5, -0.5, 0.5, 0.5, -0.5]), color=edge, linewidth=1)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.figure.colorbar(mesh, ax=axes, pad=0.01, label=unit)


def figure_listening(listening: "Listening", *, title: str | None = None) -> "Figure":
    """Log-probability of each reply token under each condition: dark rows are deaf, the first is the clip."""
    from matplotlib.figure import Figure

    values = np.stack([heard.logps for heard in listening.heard])
    width = min(2.5 + 0.55 * values.shape[1], 12)
    figure = Figure(figsize=(width, 0.9 + 0.36 * len(values)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        values, aspect="auto", interpolation="nearest", cmap=COLOUR_MAP, vmin=-10.0, vmax=0.0
    )
    axes.set_yticks(range(len(values)), [heard.condition for heard in listening.heard])
    pieces = [piece.strip() or "␣" for piece in listening.pieces]
    axes.set_xticks(range(len(pieces)), pieces, rotation=40, ha="right")
    figure.colorbar(image, ax=axes, pad=0.01, label="nats, cut at -10")
    if title:
        axes.set_title(title)
    return figure
