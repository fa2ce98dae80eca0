"""Parts that every page draws: the choice of a clip, the player, the choice of a checkpoint and what it knows.

Whatever a user or a model wrote is escaped before it meets Markdown: a clip's name or a reply may not become a link, a
picture fetched from elsewhere, or a heading.
"""

import json
import re
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

import address
import clip_state
import model_state
import stand
import state
from clip_state import Clip
from explain import CUT, explain
from model_state import ModelLoad
from q2a_core import paths
from q2a_core.inspection import read_gallery
from q2a_core.inspection.player import PLAYER_HEIGHT, SKELETON, player_css, player_data, player_js
from settings import kept, value_of
from state import Session

SOURCES = {
    "Samples": ":material/library_music:",
    "Upload": ":material/upload:",
    "Record": ":material/mic:",
}
OTHER = "a directory or hub id…"
MOUNT = """
export default function ({ data, parentElement, setStateValue }) {
  const clip = JSON.parse(new TextDecoder().decode(data));
  const player = mountPlayer(parentElement.querySelector(".q2a-player"), clip);
  player.onToken = (token) => setStateValue("token", token);
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
    source = kept(
        st.segmented_control,
        "Clip",
        list(SOURCES),
        key="clip_source",
        default="Samples",
        required=True,
        format_func=lambda name: f"{SOURCES[name]} {name}",
        label_visibility="collapsed",
    )
    hidden: Any = {"label_visibility": "collapsed"}
    if source == "Record":
        stand.microphone()
    with st.container(height=68, border=False, key="clip_choice"):
        if source == "Upload":
            # no list of types: it would refuse by a name's ending, the loader looks inside
            keep: Any = {"key": "upload", "on_change": _keep_file, "args": ("upload",)}
            st.file_uploader("A clip", max_upload_size=stand.upload_mb(), **keep, **hidden)
            return _kept_clip("upload")
        if source == "Record":
            keep = {"key": "recording", "on_change": _keep_file, "args": ("recording",)}
            st.audio_input("Speak, or let something sound", **keep, **hidden)
            return _kept_clip("recording", name="your recording")
        samples = {sample.name: sample for sample in read_gallery()}
        name = kept(
            st.selectbox,
            "Sample",
            list(samples),
            key="sample",
            default=next(iter(samples), None),
            format_func=lambda name: f"{samples[name].label} · {samples[name].seconds:.1f} s",
            **hidden,
        )
        return clip_state.sample_clip(samples[name]) if name else None


def _keep_file(key: str) -> None:
    """A file that was given, or taken away again; called when its widget changes and not when the page does."""
    state.session().files[key] = st.session_state[key]


def _kept_clip(key: str, *, name: str | None = None) -> Clip | None:
    file = state.session().files.get(key)
    return clip_state.uploaded_clip(file, name=name) if file else None


def player(clip: Clip, *, token: int | None = None, redraw: bool = False) -> None:
    """The clip to hear and to see; audio token `token` is chosen when it appears.

    A token that is clicked becomes `Session.spot.token`. With `redraw` the whole page runs again then.
    """
    view = clip_state.clip_view(clip)
    data = player_data(view, clip.waveform.samples, name=clip.waveform.name, token=token)
    mount = _mount_player if redraw else st.fragment(_mount_player)
    # as bytes: a dict would make Streamlit import pandas to look for tables in it, before the first picture
    mount(json.dumps(data).encode())


def _mount_player(data: bytes) -> None:
    mount_player(data=data, key="player", on_token_change=_choose_token)


def _choose_token() -> None:
    session = state.session()
    session.spot.token = st.session_state.player.get("token")
    address.write_token(session)


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


def split_choice(session: Session, clip: Clip) -> None:
    """The switch under a clip that is longer than the model's window."""
    window = _window(session)
    if clip.waveform.seconds <= window:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="too_long"):
        st.warning(
            f"This clip lasts {clip.waveform.seconds:.1f} s; the model hears {window:g} s at once.",
            icon=":material/timer:",
        )
        kept(st.toggle, CUT, key="split", default=False)


def is_cut(session: Session, clip: Clip | None) -> bool:
    """Whether the clip goes in as several clips of one turn."""
    is_long = clip is not None and clip.waveform.seconds > _window(session)
    return is_long and value_of("split", False)


def _window(session: Session) -> float:
    """Seconds that the chosen checkpoint hears at once, as far as that is known."""
    known = state.dimensions(session)
    return known.config.encoder.max_seconds if known else clip_state.WINDOW_SECONDS


def checkpoint_choice(session: Session) -> None:
    """Any shipped checkpoint, a directory, or a hub id."""
    shipped = list(paths.shipped_checkpoints())
    options = shipped if stand.is_public() and shipped else [*shipped, OTHER]
    first = session.source if session.source in options else options[0]
    choice = kept(st.selectbox, "Checkpoint", options, key="checkpoint", default=first)
    if choice != OTHER:
        session.source = choice
        return
    path = kept(
        st.text_input,
        "Directory or hub id",
        key="checkpoint_path",
        default="",
        placeholder="Qwen/Qwen2-Audio-7B-Instruct",
    )
    session.source = path.strip()
    if not session.source:
        st.caption(
            "Give a directory with a Qwen2-Audio checkpoint, or a hub id. It runs on the CPU: the 7B takes about 17 GB "
            "of memory, and its time."
        )


def what_can_i_say(session: Session) -> None:
    """The words, the sounds and lines to try of the chosen checkpoint."""
    about = model_state.about(session.source)
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


def model_status(session: Session, *, key: str = "retry") -> None:
    """A line that says where the model is; until it knows, it looks again every second.

    `key` is that of the button to try again. The line draws what one look finds: to look twice would be to run the page
    again for a model that arrives in between, and a question that was just asked would be lost with that run.
    """
    load = session.load()
    if not session.source or (load and load.future.done()):
        _draw_status(session, load, key)
        return
    looked = False

    @st.fragment(run_every=1.0)
    def watch() -> None:
        nonlocal looked
        # the browser asks for this part again once it has drawn the page; the frame counts runs itself
        session.has_painted |= looked or session.visit is None
        now = session.load() if looked else load
        if looked and now and now.future.done():
            st.rerun()
        looked = True
        _draw_loading(session, now)

    watch()


def _draw_loading(session: Session, load: ModelLoad | None) -> None:
    since = f" … {load.seconds:.0f} s" if load else ""
    st.caption(f":material/hourglass_top: loading **{plain(session.source)}**{since}")


def _draw_status(session: Session, load: ModelLoad | None, key: str) -> None:
    if not session.source or load is None:
        st.caption(":material/hourglass_empty: no checkpoint chosen")
    elif error := load.future.exception():
        st.error(plain(explain(error)))
        if st.button("Try again", key=key):
            model_state.forget_model(load)
            st.rerun()
    else:
        checkpoint = load.future.result().checkpoint
        st.caption(
            f":material/check_circle: **{plain(checkpoint.name)}** `{checkpoint.hash}` is ready"
        )
