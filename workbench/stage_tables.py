"""Below the replies on the page Stages: which weights moved between two checkpoints, and their tables of results."""

from pathlib import Path

import streamlit as st

import curves
import model_state
from plain import plain
from q2a_core.evaluation.stage_results import SuiteRow, shipped_results, side_by_side
from q2a_core.inspection.weight_change import (
    Change,
    TensorChange,
    by_kind,
    by_layer,
    by_part,
    weight_changes,
)
from settings import kept

WEIGHTS, TABLE = "Which weights moved", "Over the whole test set"
GROUPS = {"Parts": by_part, "Layers": by_layer, "Layers and kinds": by_kind}
VERDICTS = {
    "better": " :material/trending_up: better",
    "worse": " :material/trending_down: worse",
    "within the intervals": "",
    "": "",
}


def part_choice() -> str:
    """Which of the two looks below the replies is open."""
    return kept(
        st.segmented_control,
        "Below",
        [WEIGHTS, TABLE],
        key="stages_part",
        default=WEIGHTS,
        required=True,
        label_visibility="collapsed",
    )


def weights(columns: dict[str, Path], *, ready: bool) -> None:
    """How far each part, or layer, of one checkpoint lies from another."""
    if len(columns) < 2:
        st.caption("Choose two checkpoints above to see which weights moved between them.")
        return
    names = list(columns)
    with st.container(horizontal=True, key="weights_choice"):
        before = kept(st.selectbox, "From", names, key="stages_before", default=names[0])
        after = kept(st.selectbox, "To", names, key="stages_after", default=names[1])
        group = kept(
            st.segmented_control,
            "Grouped by",
            list(GROUPS),
            key="stages_group",
            default="Layers",
            required=True,
        )
    if not ready:
        st.caption(":material/hourglass_top: waits for the model to be loaded")
        return
    first, second = (str(columns[name]) for name in (before, after))
    stamps = tuple(model_state.stamp(name, columns[name]) for name in (before, after))
    changes = _changes(first, second, stamps)
    rows = GROUPS[group](changes)
    st.markdown(in_words(by_part(changes), by_layer(changes)))
    with st.container(height=min(90 + 24 * len(rows), 560), border=False, key="weights_bars"):
        curves.bars(
            [label(row) for row in rows],
            [min(row.relative, 10.0) for row in rows],
            title=f"Change from {before} to {after}, relative to the norm before",
            key=f"weights_{group}",
            alt="; ".join(f"{label(row)} {row.relative:.2%}" for row in rows[:40]),
        )


@st.cache_data(max_entries=16, show_spinner="Comparing the weights…")
def _changes(before: str, after: str, stamps: tuple[str, ...]) -> list[TensorChange]:
    return weight_changes(before, after)


def label(row: Change) -> str:
    """A row as the page writes it; blocks count from one, as on the other pages."""
    words = [row.part.replace("_", " ")]
    if row.layer is not None:
        words.append(f"block {row.layer + 1}")
    return ", ".join([*words, row.kind] if row.kind else words)


def in_words(parts: list[Change], layers: list[Change]) -> str:
    """What the bars say, for those who do not see them."""
    still = [row.part.replace("_", " ") for row in parts if row.relative == 0]
    if len(still) == len(parts):
        return "Nothing moved: the two hold the same weights."
    moved = sorted(layers, key=lambda row: row.relative, reverse=True)
    sentences = [
        ", ".join(f"{row.part.replace('_', ' ')} **{row.relative:.2%}**" for row in parts) + "."
    ]
    if moved and moved[0].relative > 0:
        sentences.append(f"Most of all: {label(moved[0])} ({moved[0].relative:.2%}).")
    if still:
        sentences.append(f"Not at all: {', '.join(still)}; that stage kept them frozen.")
    return " ".join(sentences)


def table(columns: dict[str, Path]) -> None:
    """The mini Table 2 of every checkpoint that has one."""
    reports = {name: shipped_results(path) for name, path in columns.items()}
    for name, report in reports.items():
        if report is None:
            st.caption(
                f":material/inventory_2: {plain(name)} has no results beside it; "
                f"`q2a eval --model {plain(name.removeprefix('run '))}` measures it."
            )
    known = {name: report for name, report in reports.items() if report}
    if not known:
        return
    rows = side_by_side(list(known.values()))
    st.markdown(markdown_table(list(known), rows))
    lines = [f"{name}: {report['checkpoint'].get('hash')}" for name, report in known.items()]
    conditions = next(iter(known.values())).get("conditions", {})
    said = "; ".join(
        f"{key} {conditions[key]}"
        for key in ("decoding", "normaliser", "intervals")
        if key in conditions
    )
    st.caption(
        plain(
            f"{', '.join(lines)}; {said}. Better and worse are said only where the intervals do not touch."
        )
    )


def markdown_table(names: list[str], rows: list[SuiteRow]) -> str:
    """Suites down, checkpoints across, each figure with its interval and how it stands to the one before."""
    lines = [
        "| suite | metric | " + " | ".join(plain(name) for name in names) + " |",
        "| --- | --- |" + " --- |" * len(names),
    ]
    for row in rows:
        cells = []
        for figure in row.figures:
            if figure is None:
                cells.append("not asked")
                continue
            cells.append(plain(f"{figure.text} ({figure.interval})") + VERDICTS[figure.verdict])
        lines.append(f"| {plain(row.suite)} | {plain(row.metric)} | {' | '.join(cells)} |")
    return "\n".join(lines)
