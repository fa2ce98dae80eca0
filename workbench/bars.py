"""Bars and intervals as HTML: they take the page's own text colour, and every one carries its figure in words.

What is written into them is escaped here; the colours are told apart without colour vision too (Okabe and Ito).
"""

from html import escape

from q2a_core.bench.recorded import BarGroup
from q2a_core.evaluation.scoreboard import Board, BoardRow

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
SHAPES = ("●", "■", "▲", "◆", "▼", "★")
STYLE = """<style>
.q2a-bars { container-type: inline-size; }
.q2a-row { display: grid; grid-template-columns: minmax(7rem, 15rem) minmax(8rem, 1fr) minmax(9rem, 17rem);
  gap: 0 0.8rem; align-items: center; font-size: 0.85rem; line-height: 1.35; }
.q2a-head { margin-top: 0.5rem; font-weight: 600; font-size: 0.9rem; }
.q2a-note { font-weight: 400; opacity: 0.75; }
.q2a-track { position: relative; height: 1.1rem; background: rgba(128, 138, 140, 0.16); border-radius: 4px; }
.q2a-track > * { position: absolute; top: 0; height: 100%; }
.q2a-mark { transform: translateX(-50%); line-height: 1.1rem; }
@container (max-width: 34rem) { .q2a-row { grid-template-columns: 1fr; } }
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
        parts.append(
            f'<div class="q2a-head">{escape(row.suite)} <span class="q2a-note">{escape(row.metric)}, {better}, 0 to '
            f"{escape(row.text(row.most))}</span></div>"
        )
        for number, (report, cell) in enumerate(zip(board.reports, row.cells, strict=True)):
            if cell is None or cell.value != cell.value:
                continue
            colour, shape = COLOURS[number % len(COLOURS)], SHAPES[number % len(SHAPES)]
            at, low, high = (100 * x / row.most for x in (cell.value, cell.low, cell.high))
            track = (
                f'<span style="left:{low:.1f}%;width:{high - low:.1f}%;background:{colour};opacity:0.4"></span>'
                f'<span class="q2a-mark" style="left:{at:.1f}%;color:{colour}">{shape}</span>'
            )
            text = f"{row.text(cell.value)} ({row.text(cell.low)} to {row.text(cell.high)})"
            if cell.control is not None and cell.control == cell.control:
                swapped = 100 * cell.control / row.most
                track += f'<span class="q2a-mark" style="left:{swapped:.1f}%">○</span>'
                text += f" · ○ {row.text(cell.control)}"
            parts.append(_line(f"{shape} {report.name}", track, text))
    return _whole(parts)


def _whole(parts: list[str]) -> str:
    """The lines in a box whose own width decides how they are laid out: beside a sidebar the window's says nothing."""
    return f'{STYLE}<div class="q2a-bars">{"".join(parts)}</div>'


def _line(name: str, track: str, text: str) -> str:
    return (
        f'<div class="q2a-row"><span>{escape(name)}</span><span class="q2a-track">{track}</span>'
        f"<span>{escape(text)}</span></div>"
    )
