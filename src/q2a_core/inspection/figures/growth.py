"""The picture of `q2a bench --only growth`: how cost follows the length of a clip and the size of a batch."""

from typing import TYPE_CHECKING, Any

from q2a_core.inspection.figures.palette import AMBER, TEAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"ours": TEAL, "other": AMBER}
MARKS = {"ours": "o-", "other": "s--"}
NAMES = {"ours": "q2a", "other": "transformers"}


def figure_growth(report: dict[str, Any]) -> "Figure":
    """Time to first token over clip length, and training speed over batch size; both sides, logarithmic.

    `report` is what `bench.growth.run_growth` gives; its checkpoint and machine stand in the title.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    first, training = figure.subplots(1, 2)
    rows = report["first_token_seconds"]
    _draw(first, [row["seconds"] for row in rows], rows, scale=1e3)
    first.set(xlabel="clip (s)", ylabel="time to first token (ms)")
    rows = report["training_clips_per_second"]
    _draw(training, [row["batch_size"] for row in rows], rows)
    seconds = report["training_clip_seconds"]
    training.set(xlabel=f"clips of {seconds:g} s in a batch", ylabel="training (clips/s)")
    host, checkpoint = report["machine"], report["checkpoint"]
    figure.suptitle(
        f"{checkpoint['name']} ({checkpoint['hash']}) · {host['processor']}, {host['threads']} threads",
        fontsize="small",
    )
    return figure


def _draw(
    axes: "Axes", places: list[float], rows: list[dict[str, float]], scale: float = 1.0
) -> None:
    for side, name in NAMES.items():
        values = [row[side] * scale for row in rows]
        axes.plot(places, values, MARKS[side], color=COLOURS[side], label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
