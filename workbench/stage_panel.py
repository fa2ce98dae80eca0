"""Checkpoints of several stages on one clip: their replies side by side, their weights, and their tables."""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

import clip_state
import model_state
import stand
from explain import explain
from plain import plain
from q2a_core import paths
from q2a_core.confidence import doubt
from q2a_core.inspection.trace import describe_decoding
from q2a_core.training.runs.class_run import how_to_make, own_checkpoints, stage_of
from q2a_core.world.prompts import in_tags
from remembered import Remembered
from settings import change, kept

if TYPE_CHECKING:
    from q2a_core.inference import AudioChat, Reply

SHOWN = ("pretrain", "sft", "dpo")
"""The paper's stages, in their order."""
CHOSEN = "stages_chosen"
"""Setting that holds the names of the checkpoints side by side."""
AT_MOST = 4
"""Checkpoints side by side."""


@dataclass
class StagesSettings:
    """What the page Stages keeps."""

    outcomes: Remembered[tuple[str, ...], "Outcome"] = field(default_factory=Remembered)


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
    by_stage = {
        stage_of(path): name
        for name, path in known.items()
        if not name.startswith("run ") and _prompts(name, path) != "tags"
    }
    return [by_stage[stage] for stage in SHOWN if stage in by_stage] or list(known)[:2]


def checkpoint_columns() -> dict[str, Path]:
    """The checkpoints to stand side by side."""
    known = known_checkpoints()
    chosen = kept(
        st.multiselect,
        "Checkpoints side by side",
        list(known),
        key=CHOSEN,
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
    pair = tags_pair(known)
    if not pair:
        st.caption(
            ":material/sell: Tags against prompts: no checkpoint trained with tags ships. "
            "`q2a train pretrain --prompts tags --run my_tags` makes its twin."
        )
        return
    with st.container(horizontal=True, vertical_alignment="center", key="stages_pairs"):
        st.button(
            "Prompts against tags",
            icon=":material/sell:",
            key="stages_tags",
            on_click=change,
            args=(CHOSEN, pair),
        )
        st.button(
            "The stages",
            icon=":material/stairs:",
            key="stages_stages",
            on_click=change,
            args=(CHOSEN, _defaults(known)),
        )
        st.caption(
            f"{plain(pair[1])} learned with the hierarchical tags of Qwen-Audio instead of sentences; a question that "
            "its world knows is put to it in tags.",
            width="stretch",
        )


def tags_pair(known: dict[str, Path]) -> list[str]:
    """The checkpoint trained on sentences and its twin trained on tags, by name; [] if there is no twin."""
    for name, path in known.items():
        if _prompts(name, path) != "tags":
            continue
        for other, place in known.items():
            if stage_of(place) == stage_of(path) and _prompts(other, place) != "tags":
                return [other, name]
    return []


def _prompts(name: str, path: Path) -> str | None:
    config = model_state.about(name if name in paths.shipped_checkpoints() else str(path)).get(
        "config"
    )
    return config.get("prompts") if isinstance(config, dict) else None


def replies(
    settings: StagesSettings, columns: dict[str, Path], clip: clip_state.PickedClip | None
) -> None:
    """The question, the button, and a column for each checkpoint."""
    suggestion = clip.sample.ask if clip and clip.sample else None
    with st.container(horizontal=True, vertical_alignment="bottom", key="stages_ask"):
        question = kept(
            st.text_input,
            "Question",
            key=f"stages_question_{clip.key if clip else ''}",
            default=suggestion or "",
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
            if (text := put_to(name, columns[name], question)) != question:
                st.caption(f":material/sell: asked in tags: {plain(text)}")
            slots[name] = st.empty()
    keys = {
        n: (clip.key if clip else "", question, n, model_state.stamp(n, columns[n]))
        for n in columns
    }
    for name in columns:
        with slots[name].container():
            draw_outcome(settings.outcomes.get(keys[name]))
    if asked:
        for name, outcome in ask_together(columns, slots, clip, question).items():
            settings.outcomes[keys[name]] = outcome


def put_to(name: str, path: Path, question: str) -> str:
    """The question as a checkpoint was trained to be asked: in tags, if it knows nothing else and the tags exist."""
    return (in_tags(question) or question) if _prompts(name, path) == "tags" else question


def ask_together(
    columns: dict[str, Path],
    slots: dict[str, Any],
    clip: clip_state.PickedClip | None,
    question: str,
) -> dict[str, Outcome]:
    """Ask every checkpoint the same; a token from each in turn, so that they stream side by side."""
    outcomes = {name: Outcome() for name in columns}
    streams: dict[str, tuple[AudioChat, Generator[str, None, Reply]]] = {}
    for name in columns:
        slots[name].caption("loading …")
        try:
            chat = _chat(name, columns[name])
            waveform = clip.waveform if clip else None
            text = put_to(name, columns[name], question)
            streams[name] = chat, chat.stream(waveform, text or None, split="window")
        except Exception as error:
            outcomes[name].error = explain(error)
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
                outcomes[name].error = explain(error)
                streams.pop(name)
    for name, outcome in outcomes.items():
        with slots[name].container():
            draw_outcome(outcome)
    return outcomes


def _chat(name: str, path: Path) -> "AudioChat":
    load = model_state.load_model(name if name in paths.shipped_checkpoints() else str(path))
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
    if said := doubt(reply.confidence):
        st.warning(f"{said.capitalize()}.")
    decoding = describe_decoding(reply.settings, reply.seed)
    st.caption(plain(f"{outcome.made_by} · {decoding} · confidence {reply.confidence:.0%}"))
    for notice in reply.notices:
        st.caption(f":material/info: {plain(notice)}")
