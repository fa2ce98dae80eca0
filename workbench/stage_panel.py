"""Checkpoints of several stages on one clip: their replies side by side, their weights, and their tables."""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

import curves
import stand
import state
from panels import plain
from q2a_core import paths
from q2a_core.evaluation.stage_results import SuiteRow, read_results, side_by_side
from q2a_core.inspection.weight_change import (
    Change,
    TensorChange,
    by_kind,
    by_layer,
    by_part,
    weight_changes,
)
from q2a_core.training.lesson import how_to_make, own_checkpoints, stage_of
from settings import kept

if TYPE_CHECKING:
    from q2a_core.inference import AudioChat, Reply

SHOWN = ("pretrain", "sft", "dpo")
"""The paper's stages, in their order."""
AT_MOST = 4
"""Checkpoints side by side."""
GROUPS = {"Parts": by_part, "Layers": by_layer, "Layers and kinds": by_kind}
VERDICTS = {
    "better": " :material/trending_up: better",
    "worse": " :material/trending_down: worse",
    "within the intervals": "",
    "": "",
}


@dataclass
class StagesSettings:
    """What the page Stages keeps."""

    outcomes: dict[tuple[str, ...], "Outcome"] = field(default_factory=dict)


@dataclass
class Outcome:
    """What one checkpoint said, or why it said nothing."""

    text: str = ""
    reply: "Reply | None" = None
    made_by: str = ""
    error: str = ""


def known_checkpoints() -> dict[str, Path]:
    """Shipped checkpoints and those of the user's runs, by the name that is shown."""
    runs = {} if stand.is_public() else own_checkpoints()
    own = {f"run {name}": path for name, path in runs.items()}
    return {**paths.shipped_checkpoints(), **own}


def _defaults(known: dict[str, Path]) -> list[str]:
    """One checkpoint for each stage that ships, in the order of the stages."""
    by_stage = {stage_of(path): name for name, path in known.items() if not name.startswith("run ")}
    return [by_stage[stage] for stage in SHOWN if stage in by_stage] or list(known)[:2]


def checkpoint_columns() -> dict[str, Path]:
    """The checkpoints to stand side by side."""
    known = known_checkpoints()
    chosen = kept(
        st.multiselect,
        "Checkpoints side by side",
        list(known),
        key="stages_chosen",
        default=_defaults(known),
        max_selections=AT_MOST,
    )
    _say_what_is_missing(known)
    return {name: known[name] for name in chosen}


def _say_what_is_missing(known: dict[str, Path]) -> None:
    there = {stage_of(path) for name, path in known.items() if not name.startswith("run ")}
    for stage in SHOWN:
        if stage not in there:
            st.caption(
                f":material/inventory_2: No {stage} checkpoint ships here. Make one with `{how_to_make(stage)}`, or a "
                "small one in a minute on the page Train; it then stands in this list."
            )
    tags = [name for name, path in known.items() if _prompts(name, path) == "tags"]
    if tags:
        st.caption(
            f":material/sell: {plain(', '.join(tags))} learned with the hierarchical tags of Qwen-Audio and knows no "
            "sentences; type tags as they stand in its data card."
        )
    else:
        st.caption(
            ":material/sell: Tags against prompts: no checkpoint trained with tags ships. "
            "`q2a train pretrain --prompts tags --run my_tags` makes its twin."
        )


def _prompts(name: str, path: Path) -> str | None:
    config = state.about(name if name in paths.shipped_checkpoints() else str(path)).get("config")
    return config.get("prompts") if isinstance(config, dict) else None


def replies(settings: StagesSettings, columns: dict[str, Path], clip: state.Clip | None) -> None:
    """The question, the button, and a column for each checkpoint."""
    suggestion = clip.sample.ask if clip and clip.sample else None
    with st.container(horizontal=True, vertical_alignment="bottom", key="stages_ask"):
        question = st.text_input(
            "Question",
            value=suggestion or "",
            key=f"stages_question_{clip.key if clip else ''}",
            placeholder="empty: the clip alone, voice chat",
        ).strip()
        asked = st.button(
            "Ask all",
            icon=":material/forum:",
            type="primary",
            key="ask_all",
            disabled=not columns or not (clip or question),
        )
    slots = {}
    for name, column in zip(columns, st.columns(len(columns) or 1, gap="medium"), strict=False):
        with column.container(border=True):
            stage = stage_of(columns[name])
            st.markdown(f"**{plain(name)}**" + (f" · {plain(stage)}" if stage else ""))
            slots[name] = st.empty()
    keys = {n: (clip.key if clip else "", question, n, state.stamp(n, columns[n])) for n in columns}
    for name in columns:
        with slots[name].container():
            draw_outcome(settings.outcomes.get(keys[name]))
    if asked:
        for name, outcome in ask_together(columns, slots, clip, question).items():
            settings.outcomes[keys[name]] = outcome


def ask_together(
    columns: dict[str, Path], slots: dict[str, Any], clip: state.Clip | None, question: str
) -> dict[str, Outcome]:
    """Ask every checkpoint the same; a token from each in turn, so that they stream side by side."""
    outcomes = {name: Outcome() for name in columns}
    streams: dict[str, tuple[AudioChat, Generator[str, None, None]]] = {}
    for name in columns:
        slots[name].caption("loading …")
        try:
            chat = _chat(name, columns[name])
            waveform = clip.waveform if clip else None
            streams[name] = chat, chat.stream(waveform, question or None, split="window")
        except Exception as error:
            outcomes[name].error = state.explain(error)
    while streams:
        for name in list(streams):
            chat, pieces = streams[name]
            try:
                outcomes[name].text += next(pieces)
                slots[name].markdown(plain(outcomes[name].text))
            except StopIteration:
                outcomes[name].reply = chat.last_reply
                outcomes[name].made_by = f"{chat.checkpoint.name} {chat.checkpoint.hash}"
                streams.pop(name)
            except Exception as error:
                outcomes[name].error = state.explain(error)
                streams.pop(name)
    for name, outcome in outcomes.items():
        with slots[name].container():
            draw_outcome(outcome)
    return outcomes


def _chat(name: str, path: Path) -> "AudioChat":
    load = state.load_model(name if name in paths.shipped_checkpoints() else str(path))
    return load.future.result().fork()


def draw_outcome(outcome: Outcome | None) -> None:
    """A reply with what it rests on, or what will be here."""
    if outcome is None:
        st.caption("Its reply to the same question will stand here.")
        return
    if outcome.error:
        st.error(plain(outcome.error))
        return
    st.markdown(plain(outcome.text) or "(an empty reply)")
    reply = outcome.reply
    if reply is None:
        return
    if reply.confidence < state.LOW_CONFIDENCE:
        st.warning(f"Low confidence ({reply.confidence:.0%}): this may be a guess.")
    decoding = state.describe_decoding(reply.settings, reply.seed)
    st.caption(plain(f"{outcome.made_by} · {decoding} · confidence {reply.confidence:.0%}"))
    for notice in reply.notices:
        st.caption(f":material/info: {plain(notice)}")


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
    stamps = tuple(state.stamp(name, columns[name]) for name in (before, after))
    changes = _changes(first, second, stamps)
    rows = GROUPS[group](changes)
    st.markdown(in_words(by_part(changes), by_layer(changes)))
    with st.container(height=min(90 + 24 * len(rows), 560), border=False, key="weights_bars"):
        curves.bars(
            [label(row) for row in rows],
            [min(row.relative, 10.0) for row in rows],
            title=f"change from {before} to {after}, relative to the norm before",
            key=f"weights_{group}",
            alt="; ".join(f"{label(row)} {row.relative:.2%}" for row in rows[:40]),
        )


@st.cache_data(max_entries=16, show_spinner="Comparing the weights…")
def _changes(before: str, after: str, stamps: tuple[str, ...]) -> list[TensorChange]:
    return weight_changes(before, after)


def label(row: Change) -> str:
    """A row as the page writes it."""
    words = [row.part.replace("_", " ")]
    if row.layer is not None:
        words.append(f"block {row.layer}")
    return ", ".join([*words, row.kind] if row.kind else words)


def in_words(parts: list[Change], layers: list[Change]) -> str:
    """What the bars say, for those who do not see them."""
    still = [row.part.replace("_", " ") for row in parts if row.relative == 0]
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
    reports = {name: read_results(path) for name, path in columns.items()}
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
