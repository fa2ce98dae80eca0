"""Parts that every page draws: the choice of a clip, the player, the choice of a checkpoint and what it knows.

Whatever a user or a model wrote is escaped before it meets Markdown: a clip's name or a reply may not become a link, a
picture fetched from elsewhere, or a heading.
"""

import json
import re
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

import state
from q2a_core import paths
from q2a_core.inspection import read_gallery
from q2a_core.inspection.player import PLAYER_HEIGHT, SKELETON, player_css, player_data, player_js
from state import Clip, Session

SOURCES = {
    "Samples": ":material/library_music:",
    "Upload": ":material/upload:",
    "Record": ":material/mic:",
}
OTHER = "a directory or hub id…"
MOUNT = """
export default function ({ data, parentElement }) {
  const clip = JSON.parse(new TextDecoder().decode(data));
  const player = mountPlayer(parentElement.querySelector(".q2a-player"), clip);
  return () => player.dispose();
}
"""
mount_player = component("q2a_player", html=SKELETON, css=player_css(), js=player_js() + MOUNT)


def plain(text: str) -> str:
    """Text as Markdown that shows exactly this text."""
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)
    # icons and emoji are looked for after the escapes are gone: an invisible joiner keeps their names apart
    return re.sub(r":(?=\w)", ":\u2060", escaped).replace("\n", "  \n")


def clip_choice() -> Clip | None:
    """The clip that was picked, uploaded or recorded; None until there is one. Raises Q2AError."""
    source = st.segmented_control(
        "Clip",
        list(SOURCES),
        default="Samples",
        required=True,
        key="clip_source",
        format_func=lambda name: f"{SOURCES[name]} {name}",
        label_visibility="collapsed",
    )
    hidden: Any = {"label_visibility": "collapsed"}
    with st.container(height=68, border=False, key="clip_choice"):
        if source == "Upload":
            # no list of types: it would refuse by a name's ending, the loader looks inside
            file = st.file_uploader("A clip", key="upload", max_upload_size=25, **hidden)
            return state.uploaded_clip(file) if file else None
        if source == "Record":
            file = st.audio_input("Speak, or let something sound", key="recording", **hidden)
            return state.uploaded_clip(file, name="your recording") if file else None
        samples = {sample.name: sample for sample in read_gallery()}
        name = st.selectbox(
            "Sample",
            list(samples),
            key="sample",
            format_func=lambda name: f"{samples[name].label} · {samples[name].seconds:.1f} s",
            **hidden,
        )
        return state.sample_clip(samples[name]) if name else None


def player(clip: Clip) -> None:
    """The clip to hear and to see."""
    view = state.clip_view(clip)
    data = player_data(view, clip.waveform.samples, name=clip.waveform.name)
    # as bytes: a dict would make Streamlit import pandas to look for tables in it, before the first picture
    mount_player(data=json.dumps(data).encode(), key="player")


def no_clip() -> None:
    """What will be here once there is a clip."""
    with st.container(
        border=True,
        height=PLAYER_HEIGHT,
        vertical_alignment="center",
        horizontal_alignment="center",
    ):
        st.caption(
            ":material/graphic_eq: Once there is a clip you hear it here and see what becomes of it: its waveform, the "
            "log-mel that the encoder reads, and the 40 ms audio tokens that reach the decoder."
        )


def clip_notes(clip: Clip) -> None:
    """What was done to the clip, and, for those who want to know, what is really in it."""
    if clip.waveform.notices:
        st.caption(":material/info: " + plain("; ".join(clip.waveform.notices)) + ".")
    if clip.sample:
        with st.popover("What is really in it?", icon=":material/visibility:", type="tertiary"):
            st.markdown(f"**{plain(clip.sample.label)}** ({plain(clip.sample.kind)})")
            if clip.sample.text:
                st.markdown(f"Words: “{plain(clip.sample.text)}”")
            if clip.sample.answer:
                st.markdown(f"A right answer: “{plain(clip.sample.answer)}”")


def split_choice(clip: Clip) -> bool:
    """Whether a clip longer than the model's window goes in as several clips of one turn."""
    if clip.waveform.seconds <= state.WINDOW_SECONDS:
        return False
    st.warning(
        f"This clip lasts {clip.waveform.seconds:.1f} s; the model hears {state.WINDOW_SECONDS:g} s at once.",
        icon=":material/timer:",
    )
    return st.toggle("Cut it into clips of one turn", key="split")


def checkpoint_choice(session: Session) -> None:
    """Any shipped checkpoint, a directory, or a hub id."""
    shipped = list(paths.shipped_checkpoints())
    options = [*shipped, OTHER]
    first = options.index(session.source) if session.source in options else 0
    choice = st.selectbox("Checkpoint", options, index=first, key="checkpoint")
    if choice != OTHER:
        session.source = choice
        return
    session.source = st.text_input(
        "Directory or hub id", key="checkpoint_path", placeholder="Qwen/Qwen2-Audio-7B-Instruct"
    ).strip()
    if not session.source:
        st.caption(
            "Give a directory with a Qwen2-Audio checkpoint, or a hub id. It runs on the CPU: the 7B takes about 17 GB "
            "of memory, and its time."
        )


def what_can_i_say(session: Session) -> None:
    """The words, the sounds and lines to try of the chosen checkpoint."""
    about = state.about(session.source)
    st.subheader("What can I say?")
    if not about:
        st.caption("This checkpoint does not say what it was trained on.")
        return
    longest = about.get("trained_seconds")
    st.caption(
        f"Trained on {plain(str(about.get('trained_on') or 'synthetic voices'))}: real voices are harder for it."
        + (f" It knows clips of up to {longest:g} s." if isinstance(longest, (int, float)) else "")
    )
    for title, key in (("Lines to try", "try"), ("Sounds", "sounds"), ("Words", "words")):
        listed = about.get(key)
        entries = [plain(str(entry)) for entry in listed] if isinstance(listed, list) else []
        if entries:
            with st.expander(f"{title} ({len(entries)})", expanded=key == "try"):
                as_list = "\n".join(f"- {entry}" for entry in entries)
                st.markdown(as_list if key == "try" else ", ".join(entries))


def model_status(session: Session) -> None:
    """A line that says where the model is; until it knows, it looks again every second."""
    load = session.load()
    is_settled = not session.source or bool(load and load.future.done())
    st.fragment(_model_status, run_every=None if is_settled else 1.0)(session, is_settled)


def _model_status(session: Session, was_settled: bool) -> None:
    if not session.source:
        st.caption(":material/hourglass_empty: no checkpoint chosen")
        return
    load = session.load()
    session.has_painted = True  # the browser asks for this part again once it has drawn the page
    if load is None or not load.future.done():
        since = f" … {load.seconds:.0f} s" if load else ""
        st.caption(f":material/hourglass_top: loading **{plain(session.source)}**{since}")
    elif not was_settled:
        st.rerun()
    elif error := load.future.exception():
        st.error(plain(state.explain(error)))
        if st.button("Try again", key="retry"):
            state.forget_model(load)
            st.rerun()
    else:
        checkpoint = load.future.result().checkpoint
        st.caption(
            f":material/check_circle: **{plain(checkpoint.name)}** `{checkpoint.hash}` is ready"
        )
