"""Bars and intervals as HTML: they take the page's own text colour, and every one carries its figure in words.

What is written into them is escaped here. The colours are told apart without colour vision too (Okabe and Ito, the
blue lightened so that it stands out on dark as on light); marks are of the text's colour and told apart by their shape.
"""

from html import escape

from q2a_core.bench.recorded import BarGroup
from q2a_core.evaluation.scoreboard import Board, BoardRow

COLOURS = ("#1F7FC0", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
SHAPES = ("●", "■", "▲", "◆", "▼", "★")
SWAPPED = "○"
STYLE = """<style>
.q2a-bars { container-type: inline-size; }
.q2a-lines { display: grid; grid-template-columns: fit-content(15rem) minmax(8rem, 1fr) fit-content(17rem);
  column-gap: 0.8rem; font-size: 0.85rem; line-height: 1.35; }
.q2a-row { display: grid; grid-column: 1 / -1; grid-template-columns: subgrid; align-items: center; }
.q2a-head { grid-column: 1 / -1; margin-top: 0.5rem; font-weight: 600; font-size: 0.9rem; }
.q2a-note { font-weight: 400; opacity: 0.75; }
.q2a-track { position: relative; height: 1.1rem; background: rgba(128, 138, 140, 0.16); border-radius: 4px; }
.q2a-track > * { position: absolute; top: 0; height: 100%; }
.q2a-band { border-inline: 2px solid; box-sizing: border-box; }
.q2a-band > span { display: block; height: 100%; opacity: 0.4; }
.q2a-mark { transform: translateX(-50%); line-height: 1.1rem; }
.q2a-beyond { right: 2px; line-height: 1.1rem; white-space: nowrap; font-size: 0.75rem; }
@container (max-width: 34rem) { .q2a-lines { grid-template-columns: 1fr; } }
@media (forced-colors: active) { .q2a-track { forced-color-adjust: none; color: CanvasText; } }
</style>"""


def bar_chart(groups: tuple[BarGroup, ...]) -> str:
    """Horizontal bars; the longest of a group fills the width."""
    parts = []
    for group in groups:
        note = f' <span class="q2a-note">{escape(group.note)}</span>' if group.note else ""
        parts.append(f'<div class="q2a-head">{escape(group.what)}{note}</div>')
        most = max((bar.value for bar in group.bars), default=0.0) or 1.0
        for bar in group.bars:
            colour = COLOURS[0] if bar.ours else COLOURS[1]
            width = 100 * max(bar.value, 0.0) / most
            track = f'<span style="left:0;width:{width:.1f}%;background:{colour};border-radius:4px"></span>'
            parts.append(_line(bar.name, track, bar.text))
    return _whole(parts)


def interval_chart(board: Board, rows: tuple[BoardRow, ...]) -> str:
    """For each suite a line per checkpoint: the figure, its 95 % interval, and a hollow mark with the clips swapped."""
    parts = []
    for row in rows:
        better = "lower is better" if row.lower_is_better else "higher is better"
        end = axis_end(row)
        parts.append(
            f'<div class="q2a-head">{escape(row.suite)} <span class="q2a-note">{escape(row.metric)}, {better}, 0 to '
            f"{escape(row.text(end))}</span></div>"
        )
        for number, (report, cell) in enumerate(zip(board.reports, row.cells, strict=True)):
            if cell is None or cell.value != cell.value:
                continue
            colour, shape = COLOURS[number % len(COLOURS)], SHAPES[number % len(SHAPES)]
            marks = {shape: cell.value}
            text = f"{row.text(cell.value)} ({row.text(cell.low)} to {row.text(cell.high)})"
            if cell.control is not None and cell.control == cell.control:
                marks[SWAPPED] = cell.control
                text += f" · {SWAPPED} {row.text(cell.control)}"
            track = _band(cell.low / end, cell.high / end, colour) + _marks(marks, row, end)
            parts.append(_line(f"{shape} {report.name}", track, text))
    return _whole(parts)


def axis_end(row: BoardRow) -> float:
    """Where a suite's axis ends: an error rate's at 100 %, lest swapped clips beyond it crowd the others."""
    return min(row.most, 1.0) if row.lower_is_better else row.most


def _band(low: float, high: float, colour: str) -> str:
    """An interval from and to these shares of the axis, with its ends; nothing where all of it lies beyond."""
    if low >= 1:
        return ""
    place = f"left:{100 * low:.1f}%;width:{100 * (min(high, 1.0) - low):.1f}%"
    return (
        f'<span class="q2a-band" style="{place}"><span style="background:{colour}"></span></span>'
    )


def _marks(marks: dict[str, float], row: BoardRow, end: float) -> str:
    """A mark at each value; those beyond the axis as an arrow at its end, with their figures."""
    within = (
        f'<span class="q2a-mark" style="left:{100 * value / end:.1f}%">{shape}</span>'
        for shape, value in marks.items()
        if value <= end
    )
    beyond = [f"{shape} {row.text(value)}" for shape, value in marks.items() if value > end]
    arrow = f'<span class="q2a-beyond">{escape(" ".join(beyond))} →</span>' if beyond else ""
    return "".join(within) + arrow


def _whole(parts: list[str]) -> str:
    """The lines in a box whose own width decides how they are laid out: beside a sidebar the window's says nothing."""
    return f'{STYLE}<div class="q2a-bars"><div class="q2a-lines">{"".join(parts)}</div></div>'


def _line(name: str, track: str, text: str) -> str:
    return (
        f'<div class="q2a-row"><span>{escape(name)}</span><span class="q2a-track">{track}</span>'
        f"<span>{escape(text)}</span></div>"
    )
