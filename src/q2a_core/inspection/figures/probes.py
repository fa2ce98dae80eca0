"""A picture of probes by layer: what each reads off on clips that it has not seen, over the band of its control."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from q2a_core.inspection.figures.palette import AMBER, GREY, TEAL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from q2a_core.inspection.linear_probe import LayerProbe


def figure_probes(
    probes: Mapping[str, Sequence["LayerProbe"]],
    *,
    labels: Sequence[str] | None = None,
    baseline: float | None = None,
) -> "Figure":
    """One panel for each question, by its title: held-out accuracy with its interval, over the band of shuffled labels.

    `labels` name the layers (their numbers if None); `baseline` is what the average log-mel alone gives.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3 + 3.5 * max(len(probes), 1), 3.5), layout="constrained")
    row = figure.subplots(1, max(len(probes), 1), sharey=True, squeeze=False)[0]
    for axes, (title, layers) in zip(row, probes.items(), strict=False):
        places = [probe.layer for probe in layers]
        accuracies = np.array([probe.accuracy.value for probe in layers])
        ends = np.array([[probe.accuracy.low, probe.accuracy.high] for probe in layers]).T
        low, high = np.array([probe.control_range for probe in layers]).T
        axes.fill_between(places, low, high, color=AMBER, alpha=0.25, label="shuffled, 95 %")
        axes.plot(places, [probe.control for probe in layers], "--", color=AMBER)
        error = np.abs(ends - accuracies)
        axes.errorbar(places, accuracies, error, fmt="o-", color=TEAL, capsize=3, label="probe")
        if baseline is not None:
            axes.axhline(baseline, color=GREY, linestyle=":", label="average log-mel")
        axes.set_xticks(places, labels or [str(place) for place in places])
        axes.set(xlabel="layer (0 is the embedding)" if labels is None else None, ylim=(0.0, 1.05))
        axes.set_title(title, fontsize="medium")
        axes.grid(alpha=0.3)
    row[0].set_ylabel("held-out clips told apart")
    row[0].legend(loc="lower right")
    return figure
