"""The page Scoreboard: one of three views, and of these the tables; the others have panels of their own."""

import streamlit as st

import bars
from guarded import part, told
from plain import plain
from q2a_core.bench.recorded import COMMAND, recorded_charts
from q2a_core.evaluation.paper_figures import OURS, RERUN
from q2a_core.evaluation.results_file import conditions_text
from q2a_core.evaluation.scoreboard import (
    Board,
    BoardRow,
    Cell,
    Report,
    boards,
    shipped_reports,
)
from q2a_core.evaluation.tables import paper_table
from settings import kept
from state import Session

TABLE, EXAMPLES, SPEED = "Mini Table 2", "Example by example", "Speed"
ICONS = {
    TABLE: ":material/leaderboard:",
    EXAMPLES: ":material/hearing:",
    SPEED: ":material/speed:",
}


def scoreboard(session: Session) -> None:
    """The view that is chosen; nothing else is computed."""
    choice = kept(
        st.segmented_control,
        "Scoreboard",
        list(ICONS),
        key="scoreboard_part",
        default=TABLE,
        required=True,
        format_func=lambda name: f"{ICONS[name]} {name}",
        label_visibility="collapsed",
    )
    with st.container(key="scoreboard_panel"), told():
        if choice == SPEED:
            speed()
        elif choice == TABLE:
            st.fragment(part)(tables, _reports(session))
        else:
            import examples_panel

            st.fragment(part)(examples_panel.examples, session, _reports(session))


def _reports(session: Session) -> list[Report]:
    """The reports that can be read; what cannot is said."""
    reports, problems = shipped_reports(session.source or None)
    for problem in problems:
        st.warning(plain(problem), icon=":material/warning:")
    return reports


def tables(reports: list[Report]) -> None:
    """Every checkpoint's figures, as intervals or as a table, and the paper's Table 2."""
    if not reports:
        st.info(
            "No checkpoint here ships its results. `q2a eval --suite mini --output results.json` writes them; beside "
            "the checkpoint they appear here.",
            icon=":material/leaderboard:",
        )
        return
    as_table = kept(st.toggle, "As a table", key="scoreboard_as_table", default=False)
    for board in boards(reports):
        names = ", ".join(f"**{plain(report.name)}** `{report.hash}`" for report in board.reports)
        st.markdown(f"{names} on the same test clips (speech {plain(board.book) or 'unnamed'})")
        if as_table:
            st.markdown(board_markdown(board))
        else:
            st.caption(
                "Filled mark: the figure; band: its 95 % interval; ○: the same suite with the clips swapped; →: beyond "
                "the axis."
            )
            st.html(bars.interval_chart(board, board.rows))
        for report in board.reports:
            st.caption(f"{plain(report.name)}: {plain(conditions_text(report.values))}.")
    with st.expander("The paper's Table 2, whole", icon=":material/description:"):
        st.caption(
            "Printed in arXiv 2407.10759: real recordings and the real model, nothing of ours. Misprints are struck "
            f"out. “{RERUN}” is from the official repository."
        )
        st.markdown(paper_table())


def board_markdown(board: Board) -> str:
    """A row for each suite, a column for each checkpoint, the paper's figures to the right, labelled."""
    names = [plain(report.name) for report in board.reports]
    with_paper = any(row.paper[0] for row in board.rows)
    paper = ["paper: set", f"paper: {OURS}", "official re-run"] if with_paper else []
    head = ["suite", "metric", *names, *paper]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in board.rows:
        cells = [_cell(row, cell) for cell in row.cells]
        better = "↓" if row.lower_is_better else "↑"
        line = [plain(row.suite), f"{plain(row.metric)} {better}", *cells]
        lines.append("| " + " | ".join(line + (list(row.paper) if with_paper else [])) + " |")
    return "\n".join(lines)


def _cell(row: BoardRow, cell: Cell | None) -> str:
    if cell is None:
        return "not measured"
    text = f"**{row.text(cell.value)}** ({row.text(cell.low)} to {row.text(cell.high)})"
    if cell.control is not None:
        text += f", swapped {row.text(cell.control)}"
    return f"{text}, n {cell.n}"


def speed() -> None:
    """What `q2a bench` found, as it was kept; without it the command that makes it."""
    kept = recorded_charts()
    if not kept:
        with st.container(border=True):
            st.markdown(
                "**No timings are kept here yet.** They are of one machine, so they are measured and not shipped by "
                "guess. This command measures each step beside transformers on the same weights and writes them where "
                "this page looks:"
            )
            st.code(COMMAND, language=None)
            st.caption("It needs transformers and takes some minutes; nothing is downloaded.")
        return
    for chart in kept:
        st.header(plain(chart.title), anchor=False)
        st.caption(plain(chart.conditions))
        if chart.groups:
            st.html(bars.bar_chart(chart.groups))
        for note in chart.notes:
            st.caption(plain(note))
