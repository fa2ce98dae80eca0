"""Curves and histograms by Vega, fed with Arrow tables: no pandas, and new points move the picture without a flicker.

Every picture says its last value in words (`alt`), and the colours hold in light and dark and for the colour-blind.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import streamlit as st

from plain import plain
from q2a_core.training.preference.pair_report import histogram
from q2a_core.training.runs.expected import Band

TEAL, ORANGE, GREY = "#14918a", "#d97706", "#8a9799"
TEXT = "currentColor"
"""The page's own, in light and in dark; Streamlit's grey is too pale on white to be read."""
HEIGHT = 260


def curve(
    steps: np.ndarray,
    values: np.ndarray,
    *,
    name: str,
    last: int,
    band: Band | None,
    key: str,
    alt: str,
) -> None:
    """One curve over the steps of a run, above the band that is expected there."""
    x = {"field": "step", "type": "quantitative", "title": "step", "scale": {"domain": [0, last]}}
    y = {"field": "value", "type": "quantitative", "title": name, "scale": {"zero": False}}
    smooth = {"frame": [-2, 2], "window": [{"op": "mean", "field": "value", "as": "value"}]}
    if not len(steps) and band is None:
        st.caption(":material/show_chart: The first point comes with the second step.")
        return
    layers: list[dict[str, Any]] = [
        {
            "data": {"name": "points"},
            "mark": {"type": "point", "filled": True, "size": 18, "opacity": 0.45, "color": TEAL},
            "encoding": {"x": x, "y": y, "tooltip": [{"field": "step"}, {"field": "value"}]},
        },
        {
            "data": {"name": "points"},
            "transform": [smooth],
            "mark": {"type": "line", "color": TEAL, "strokeWidth": 2.5},
            "encoding": {"x": x, "y": y},
        },
    ]
    datasets = {"points": pa.table({"step": steps, "value": values})} if len(steps) else {}
    if band is not None:
        kept = band.steps <= last
        columns = {n: getattr(band, n)[kept] for n in ("low", "middle", "high")}
        datasets["band"] = pa.table({"step": band.steps[kept], **columns})
        layers = [*_band_layers(x, y), *(layers if len(steps) else [])]
    _draw({"layer": layers, "datasets": datasets, "height": HEIGHT}, key=key, alt=alt)


def _draw(spec: dict[str, Any], *, key: str, alt: str) -> None:
    words = {"labelColor": TEXT, "titleColor": TEXT}
    config = {"axis": words, "legend": words}
    st.vega_lite_chart(spec | {"config": config}, key=key, width="stretch", alt=alt)


def _band_layers(x: dict[str, Any], y: dict[str, Any]) -> list[dict[str, Any]]:
    low, middle = (y | {"field": name} for name in ("low", "middle"))
    return [
        {
            "data": {"name": "band"},
            "mark": {"type": "area", "color": GREY, "opacity": 0.28},
            "encoding": {"x": x, "y": low, "y2": {"field": "high"}},
        },
        {
            "data": {"name": "band"},
            "mark": {"type": "line", "color": GREY, "strokeDash": [4, 3], "strokeWidth": 1.5},
            "encoding": {"x": x, "y": middle},
        },
    ]


def margins(values: np.ndarray, *, beta: float, key: str) -> None:
    """The reward margins of pairs as columns: right of 0 the chosen reply gained, left of it lost."""
    edges, counts = histogram(values)
    centres = (edges[:-1] + edges[1:]) / 2
    sides = ["chosen gained", "rejected gained"]
    table = pa.table(
        {
            "from": edges[:-1],
            "to": edges[1:],
            "pairs": counts,
            "side": [sides[int(centre < 0)] for centre in centres],
        }
    )
    title = f"reward margin at beta {beta:g}"
    x = {"field": "from", "type": "quantitative", "title": title, "bin": {"binned": True}}
    colours = {"domain": sides, "range": [TEAL, ORANGE]}
    encoding = {
        "x": x,
        "x2": {"field": "to"},
        "y": {"field": "pairs", "type": "quantitative", "title": "pairs"},
        "color": {
            "field": "side",
            "type": "nominal",
            "scale": colours,
            "legend": {"orient": "top", "title": None},
        },
    }
    layer = {"data": {"name": "columns"}, "mark": {"type": "bar"}, "encoding": encoding}
    spec = {"datasets": {"columns": table}, "height": 200, "layer": [layer]}
    right = int((values > 0).sum())
    alt = f"Reward margins of {len(values)} pairs: {right} over 0, mean {values.mean():.3f}"
    _draw(spec, key=key, alt=alt)


def bars(labels: list[str], values: list[float], *, title: str, key: str, alt: str) -> None:
    """Horizontal bars in the order given, their values written beside them; below them what they are."""
    table = pa.table({"row": labels, "value": values, "text": [f"{v:.2%}" for v in values]})
    y = {
        "field": "row",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"labelLimit": 240, "labelOverlap": False},
    }
    x = {"field": "value", "type": "quantitative", "title": None, "axis": {"format": "%"}}
    spec = {
        "datasets": {"rows": table},
        "height": 22 * len(labels) + 8,
        "encoding": {"y": y, "x": x},
        "layer": [
            {"data": {"name": "rows"}, "mark": {"type": "bar", "color": TEAL}},
            {
                "data": {"name": "rows"},
                "mark": {"type": "text", "align": "left", "dx": 4, "color": TEXT},
                "encoding": {"text": {"field": "text"}},
            },
        ],
    }
    _draw(spec, key=key, alt=alt)
    st.caption(plain(f"{title}."))  # the axis of a narrow page has no room for it
