"""The page Kernel: which head is looked at and how it is cut; then its steps, or the search for a bug.

What needs torch is imported once a model is there, so that the page itself opens without it.
"""

from typing import Any

import streamlit as st

import address
import panels
from clip_state import PickedClip
from guarded import part
from model_state import ModelLoad
from plain import plain
from settings import change, kept
from state import Session

STEPS, BUG = "Step by step", "Find the bug"
ICONS = {STEPS: ":material/grid_on:", BUG: ":material/bug_report:"}


def kernel(session: Session, clip: PickedClip | None, *, may_load: bool) -> None:
    """One head of the clip in tiles; until the model is there, what is going to be seen."""
    if clip is None:
        st.caption("Once there is a clip its encoder's queries and keys meet here, tile by tile.")
        return
    load = session.ready() if may_load else None
    if load is None:
        if may_load:
            panels.model_status(session, key="retry_kernel")
        st.caption(
            "The tiles are made of this checkpoint's own queries, keys and values; they appear as soon as it is there."
        )
        return
    part(_draw, session, clip, load)
    address.write(session, clip)


def _draw(session: Session, clip: PickedClip, load: ModelLoad) -> None:
    import bug_panel
    import kernel_steps

    config = load.future.result().model.config.encoder
    choice = kept(
        st.segmented_control,
        "Kernel",
        [STEPS, BUG],
        key="kernel_part",
        default=STEPS,
        required=True,
        format_func=lambda name: f"{ICONS[name]} {name}",
        label_visibility="collapsed",
    )
    with st.container(key="kernel_knobs"):
        columns = st.columns(4, gap="medium")
        layer = _place(session, columns[0], "Encoder layer", "layer", config.num_layers)
        head = _place(session, columns[1], "Head", "head", config.num_heads)
        window = float(config.max_seconds)
        if "kernel_beside" in session.settings and session.settings["kernel_beside"].value > window:
            change("kernel_beside", window)
        with columns[3]:
            beside = kept(
                st.slider,
                "In a batch beside a clip of … seconds",
                key="kernel_beside",
                default=0.0,
                min_value=0.0,
                max_value=window,
                step=0.5,
                help="The clip is padded to the longer one's frames, as a batch pads it; 0 is alone.",
            )
        case = kernel_steps.KernelCase(clip, load, layer, head, beside)
        with columns[2]:
            tile = _knob(
                "Tile", kernel_steps.tiles(case), "kernel_tile", lambda size: f"{size} × {size}"
            )
    if clip.waveform.seconds > config.max_seconds:
        st.caption(f"The encoder hears {config.max_seconds:g} s at once: these are the first.")
    with st.container(key="kernel_panel"):
        if choice == STEPS:
            kernel_steps.steps(case, tile)
        else:
            bug_panel.hunt(session, case, tile)
    checkpoint = load.future.result().checkpoint
    st.caption(f"Weights of {plain(checkpoint.name)} {checkpoint.hash}, fp32.")


def _place(session: Session, column: Any, label: str, name: str, count: int) -> int:
    """Layer or head, counted from one on the page; what a link or another page chose is taken over."""
    key = f"kernel_{name}"
    wanted = min(getattr(session.spot, name) or 0, count - 1)
    if key not in session.settings or session.settings[key].value != wanted:
        change(key, wanted)
    with column:
        chosen = _knob(label, tuple(range(count)), key, lambda number: f"{number + 1} of {count}")
    if chosen != wanted:
        setattr(session.spot, name, chosen)
    return chosen


def _knob(label: str, options: tuple[int, ...], key: str, words: Any) -> int:
    """A slider over a few choices; one choice leaves nothing to slide."""
    if len(options) == 1:
        st.caption(f"{label}: {words(options[0])}")
        return options[0]
    return kept(st.select_slider, label, options, key=key, default=options[0], format_func=words)
