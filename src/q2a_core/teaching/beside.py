"""Two arrays side by side as SVG: yours and the expected one, on one scale."""

from typing import Any

import numpy as np

WIDTH, HEIGHT = 300, 90
POINTS = 150
"""A curve is drawn with at most so many points."""
CELLS = 40
"""A map is drawn with at most so many cells each way."""


def beside_html(yours: Any, expected: Any) -> str:
    """HTML with both arrays, (N,) as curves or (N, M) as maps; says so where the shapes differ."""
    a, b = _array(yours), _array(expected)
    if a is None or b is None:
        return ""
    finite = np.concatenate([a[np.isfinite(a)].ravel(), b[np.isfinite(b)].ravel()])
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    span = (high - low) or 1.0
    drawn = "".join(
        f'<figure style="display:inline-block;margin:4px 12px 0 0"><figcaption>{name}, '
        f"shape {'x'.join(map(str, x.shape))}</figcaption>{_svg((x - low) / span)}</figure>"
        for name, x in (("yours", a), ("expected", b))
    )
    return f"<div>{drawn}</div><small>scale {low:.4g} to {high:.4g}</small>"


def _array(values: Any) -> np.ndarray | None:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    array = np.squeeze(array)
    while array.ndim > 2:
        array = array[0]
    return array if array.size and array.ndim else None


def _svg(x: np.ndarray) -> str:
    """An array on a scale of 0 to 1."""
    head = f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" style="background:#8882">'
    x = np.clip(np.nan_to_num(x, nan=0.0), 0, 1)
    if x.ndim == 1:
        x = x[np.linspace(0, len(x) - 1, min(len(x), POINTS)).round().astype(int)]
        step = WIDTH / max(len(x) - 1, 1)
        places = " ".join(
            f"{i * step:.1f},{(1 - v) * (HEIGHT - 4) + 2:.1f}" for i, v in enumerate(x)
        )
        return f'{head}<polyline points="{places}" fill="none" stroke="#0072b2" stroke-width="1.5"/></svg>'
    rows, columns = (min(n, CELLS) for n in x.shape)
    x = x[np.linspace(0, x.shape[0] - 1, rows).round().astype(int)]
    x = x[:, np.linspace(0, x.shape[1] - 1, columns).round().astype(int)]
    w, h = WIDTH / columns, HEIGHT / rows
    cells = "".join(
        f'<rect x="{j * w:.1f}" y="{i * h:.1f}" width="{w + 0.2:.1f}" height="{h + 0.2:.1f}" '
        f'fill="#0072b2" fill-opacity="{x[i, j]:.2f}"/>'
        for i in range(rows)
        for j in range(columns)
    )
    return f"{head}{cells}</svg>"
