"""A curve that is still growing, over the band where it is expected, as one SVG without any script.

Drawn anew several times a second, so it needs no plotting library; colours hold on light and on dark paper.
"""

import html

import numpy as np

from q2a_core.training.runs.expected import Band

WIDTH, HEIGHT = 560, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 34
TEAL, GREY = "#14918a", "#8a9799"
SMOOTH = 2
"""Points on either side that the line is the mean of."""
TICKS = 4


def curve_svg(
    steps: np.ndarray,
    values: np.ndarray,
    *,
    name: str,
    last: int,
    band: Band | None = None,
    alt: str = "",
) -> str:
    """Points (K,) with a smoothed line on an axis that ends at step `last`; the band is drawn as far as it fits."""
    kept = band.steps <= last if band is not None else np.zeros(0, dtype=bool)
    bounds = [values] if len(values) else []
    if band is not None and kept.any():
        bounds += [band.low[kept], band.high[kept]]
    all_values = np.concatenate(bounds) if bounds else np.array([0.0, 1.0])
    all_values = all_values[np.isfinite(all_values)]
    low, high = (
        (float(all_values.min()), float(all_values.max())) if len(all_values) else (0.0, 1.0)
    )
    pad = 0.06 * (high - low) or 0.5
    place = _Place(last=max(last, 1), low=low - pad, high=high + pad)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{html.escape(alt or name)}" style="max-width:100%;font:11px sans-serif">',
        _axes(place, name),
    ]
    if band is not None and kept.any():
        edge = [
            *zip(band.steps[kept], band.high[kept], strict=True),
            *reversed(list(zip(band.steps[kept], band.low[kept], strict=True))),
        ]
        parts.append(f'<polygon points="{place.path(edge)}" fill="{GREY}" fill-opacity="0.3"/>')
        middle = place.path(zip(band.steps[kept], band.middle[kept], strict=True))
        parts.append(
            f'<polyline points="{middle}" fill="none" stroke="{GREY}" stroke-dasharray="4 3"/>'
        )
    if len(values):
        for step, value in zip(steps, values, strict=True):
            if np.isfinite(value):
                x, y = place.at(step, value)
                parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.8" fill="{TEAL}"/>')
        line = place.path(zip(steps, smoothed(values), strict=True))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{TEAL}" stroke-width="2.2"/>')
    return "".join([*parts, "</svg>"])


def smoothed(values: np.ndarray, width: int = SMOOTH) -> np.ndarray:
    """The mean (K,) of each point and up to `width` neighbours on either side."""
    return np.array([values[max(k - width, 0) : k + width + 1].mean() for k in range(len(values))])


class _Place:
    """Where a step and a value lie on the picture."""

    def __init__(self, *, last: int, low: float, high: float):
        self.last, self.low, self.high = last, low, high

    def at(self, step: float, value: float) -> tuple[float, float]:
        across = (WIDTH - LEFT - RIGHT) * float(step) / self.last
        up = (HEIGHT - TOP - BOTTOM) * (float(value) - self.low) / (self.high - self.low)
        return LEFT + across, HEIGHT - BOTTOM - up

    def path(self, points) -> str:
        finite = [(s, v) for s, v in points if np.isfinite(v)]
        return " ".join("{:.1f},{:.1f}".format(*self.at(s, v)) for s, v in finite)


def _axes(place: _Place, name: str) -> str:
    words = 'fill="currentColor"'
    parts = []
    for value in np.linspace(place.low, place.high, TICKS + 1):
        _, y = place.at(0, value)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GREY}" stroke-opacity="0.25"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" {words}>{value:.3g}</text>'
        )
    for step in np.unique(np.linspace(0, place.last, TICKS + 1).round().astype(int)):
        x, _ = place.at(step, place.low)
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle" {words}>{step}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle" {words}>step</text>'
        f'<text x="{LEFT}" y="{TOP - 2}" {words}>{html.escape(name)}</text>'
    )
    return "".join(parts)
