"""Small pictures of the page Modes as HTML and SVG: coloured tokens, a table of scores, accuracy by layer.

One colour, darker where there is more of it, over the page's own background: readable in light and dark and by the
colour-blind, and every value is also written. All text from outside is escaped here.
"""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from q2a_core.inspection.wording import rounded

if TYPE_CHECKING:
    from q2a_core.inspection.listening import Listening
    from q2a_core.inspection.mode_probe import ModeProbe

SURPRISE = "213, 94, 0"
BLUE, GREY = "#2b86c5", "#8a8f94"
FULL_NATS = 4.0
"""Log-probability, negated, at which the colour is full: 2 %."""
CELL = "padding:1px 5px;text-align:center;border-radius:3px;white-space:pre"
WIDTH, HEIGHT = 640, 250
LEFT, RIGHT, TOP, BOTTOM = 48, 16, 16, 40


def tokens_html(pieces: Sequence[str], logps: Sequence[float], *, label: str) -> str:
    """Tokens side by side, each over its probability; the colour grows with the surprise."""
    if not len(pieces):
        return "<p>(an empty reply)</p>"
    cells = "".join(
        f'<span role="listitem" title="log-probability {logp:.3f} nats" style="display:inline-block;margin:1px;'
        f'{CELL};background:{_shade(logp)}">{_piece(piece)}<br><small style="opacity:.75">{np.exp(logp):.0%}</small>'
        "</span>"
        for piece, logp in zip(pieces, logps, strict=True)
    )
    return f'<div role="list" aria-label="{escape(label, quote=True)}" style="line-height:1.3">{cells}</div>'


def listening_html(listening: "Listening") -> str:
    """A table: conditions down, tokens across, log-probabilities in the cells, nats a token in front."""
    head = "".join(
        f'<th scope="col" style="{CELL};font-weight:500">{_piece(p)}</th>' for p in listening.pieces
    )
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left;padding-right:10px;white-space:nowrap">{escape(h.condition)}</th>'
        f'<td style="{CELL};font-weight:600">{rounded(h.mean)}</td>'
        + "".join(
            f'<td style="{CELL};background:{_shade(logp)}">{rounded(logp)}</td>' for logp in h.logps
        )
        + "</tr>"
        for h in listening.heard
    )
    return (
        '<div style="overflow-x:auto" tabindex="0"><table style="border-collapse:separate;border-spacing:2px;'
        'font-size:.85rem"><caption style="text-align:left;opacity:.75;caption-side:bottom">Log-probability in nats; '
        "0 is certain. The first number is the mean of the row.</caption>"
        f'<thead><tr><td></td><th scope="col" style="{CELL}">a token</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def probe_svg(probe: "ModeProbe", chosen: int) -> str:
    """Held-out accuracy with its interval by layer, over the shuffled control's range."""
    count = len(probe.layers)
    lowest = min(0.4, *(min(p.accuracy.low, p.control_range[0]) for p in probe.layers))
    low = np.floor(10 * lowest) / 10

    def x(layer: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (layer + 0.5) / count

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (1 - low))

    parts = [
        f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" {_TEXT}>{value:.0%}</text>'
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="currentColor" '
        f'stroke-opacity="{0.45 if abs(value - 0.5) < 1e-9 else 0.12}"/>'
        for value in np.round(np.arange(low, 1.001, 0.1), 1)
    ]
    every = max(1, round(count / 12))
    half = min(14.0, 0.35 * (x(1) - x(0)) if count > 1 else 14.0)
    for p in probe.layers:
        left, (bottom, top) = x(p.layer), p.control_range
        parts.append(
            f'<rect x="{left - half:.1f}" width="{2 * half:.1f}" y="{y(top):.1f}" fill="{GREY}" fill-opacity=".45" '
            f'height="{max(y(bottom) - y(top), 2):.1f}"/>'
            f'<line x1="{left:.1f}" x2="{left:.1f}" y1="{y(p.accuracy.low):.1f}" y2="{y(p.accuracy.high):.1f}" '
            f'stroke="{BLUE}" stroke-width="2"/>'
            f'<circle cx="{left:.1f}" cy="{y(p.accuracy.value):.1f}" r="{7 if p.layer == chosen else 5}" fill="{BLUE}"'
            f' stroke="currentColor" stroke-width="{2 if p.layer == chosen else 0}"/>'
        )
        if p.layer % every == 0:
            name = "embed" if p.layer == 0 else str(p.layer)
            parts.append(
                f'<text x="{left:.1f}" y="{HEIGHT - 22}" text-anchor="middle" {_TEXT}>{name}</text>'
            )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 5}" text-anchor="middle" {_TEXT}>after decoder block</text>'
    )
    return (
        f'<svg role="img" aria-label="{escape(probe_words(probe), quote=True)}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'style="width:100%;max-width:{WIDTH}px">{"".join(parts)}</svg>'
    )


def probe_words(probe: "ModeProbe") -> str:
    """The same in words."""
    return "; ".join(
        f"{'embedding' if p.layer == 0 else f'block {p.layer}'}: {p.accuracy.value:.0%} "
        f"({p.accuracy.low:.0%} to {p.accuracy.high:.0%}), shuffled {p.control:.0%}"
        for p in probe.layers
    )


_TEXT = 'fill="currentColor" font-size="12"'


def _shade(logp: float) -> str:
    return f"rgba({SURPRISE}, {0.7 * min(1.0, max(0.0, -float(logp)) / FULL_NATS):.2f})"


def _piece(piece: str) -> str:
    """A token's text; what has no glyph of its own is named."""
    return escape(piece.replace("\n", "⏎")) or "…"
