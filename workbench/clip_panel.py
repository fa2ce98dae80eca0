"""The choice of a clip, what is told of it, and whether one that is too long is cut."""

from typing import Any

import streamlit as st

import clip_state
import files
import stand
import state
from clip_state import PickedClip
from explain import CUT
from plain import plain
from q2a_core.inspection import read_gallery
from q2a_core.inspection.player import PLAYER_HEIGHT
from q2a_core.lengths import beyond
from settings import kept, value_of
from state import Session

SOURCES = {
    "Samples": ":material/library_music:",
    "Upload": ":material/upload:",
    "Record": ":material/mic:",
}
RECORDING = "your recording"
NOTHING_RECORDED = (
    "If it does not record: the browser needs a microphone and your permission, which the sign beside the page's "
    "address shows and changes. A file can be uploaded instead."
)
HIDDEN: Any = {"label_visibility": "collapsed"}


def clip_choice() -> PickedClip | None:
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
    may_record = source == "Record" and stand.microphone()
    with st.container(height=68, border=False, key="clip_choice"):
        if source == "Samples":
            return _sample()
        if source == "Record":
            file = files.given(
                st.audio_input, "Speak, or let something sound", key="recording", **HIDDEN
            )
        else:
            # no list of types: it would refuse by a name's ending, the loader looks inside
            options = {"max_upload_size": stand.upload_mb(), **HIDDEN}
            file = files.given(st.file_uploader, "A clip", key="upload", **options)
    if file is None:
        if source == "Upload":
            st.caption(f"At most {stand.upload_mb()} MB; a larger file is not taken.")
        elif may_record:
            st.caption(NOTHING_RECORDED)
        return None
    if source == "Record":
        files.in_use("recording", RECORDING)
        return clip_state.uploaded_clip(file, name=RECORDING)
    files.in_use("upload", getattr(file, "name", "your file"), most_mb=stand.upload_mb())
    return clip_state.uploaded_clip(file)


def _sample() -> PickedClip | None:
    samples = {sample.name: sample for sample in read_gallery()}
    name = kept(
        st.selectbox,
        "Sample",
        list(samples),
        key="sample",
        default=next(iter(samples), None),
        format_func=lambda name: f"{samples[name].label} · {samples[name].seconds:.1f} s",
        **HIDDEN,
    )
    return clip_state.sample_clip(samples[name]) if name else None


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


def clip_notes(clip: PickedClip) -> None:
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


def split_choice(session: Session, clip: PickedClip) -> None:
    """The switch under a clip that is longer than the model's window."""
    window = _window(session)
    if clip.waveform.seconds <= window:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="too_long"):
        st.warning(
            f"This clip lasts {beyond(clip.waveform.seconds, window)}; the model hears {window:g} s at once.",
            icon=":material/timer:",
        )
        kept(st.toggle, CUT, key="split", default=False)


def is_cut(session: Session, clip: PickedClip | None) -> bool:
    """Whether the clip goes in as several clips of one turn."""
    is_long = clip is not None and clip.waveform.seconds > _window(session)
    return is_long and value_of("split", False)


def _window(session: Session) -> float:
    """Seconds that the chosen checkpoint hears at once, as far as that is known."""
    known = state.dimensions(session)
    return known.config.encoder.max_seconds if known else clip_state.WINDOW_SECONDS
