"""Modes: one clip asked in four ways, whether the reply rests on it, and where in the decoder the mode shows."""

import streamlit as st

import clip_panel
import frame
import modes_panel
import modes_state
import panels
import probe_panel
import state

session, settings = state.session(), modes_state.settings()
load = session.load()  # asked before anything is drawn: the first picture waits for no model


def heading(title: str, teaching: str | None = None) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(title, anchor=False, width="content")
        if teaching:
            with st.popover("What is this?", icon=":material/school:", type="tertiary"):
                st.markdown(teaching)


clip = frame.top(
    "Modes",
    "One model, no switch: does it talk to you, or examine your clip?",
    modes_panel.TEXT,
)
panels.model_status(session)
split = clip_panel.is_cut(session, clip)
if load and not load.is_ready:
    load = None

heading("Four ways to ask")
answered = {}
with st.container(key="modes_replies"):
    if clip and load:
        answered = modes_panel.replies(settings, clip, load, split=split)
    else:
        missing = "a clip" if not clip else "the model"
        st.caption(
            f"Waiting for {missing}. Then the clip goes in four times: alone, with a written question, with a spoken "
            "one, with both; and the four replies stand here side by side."
        )

heading("Is it listening?", modes_panel.TEACH_METER)
with st.container(key="modes_meter"):
    if clip and load:
        st.fragment(modes_panel.meter)(settings, clip, load, answered, split=split)
    else:
        st.caption(
            "A reply is scored again with silence, noise and another clip in the clip's place."
        )

heading("Where does it notice?", probe_panel.TEACH_PROBE)
if clip and load:
    found = probe_panel.probe(settings, clip, load, answered)
    heading("Push it", probe_panel.TEACH_PUSH)
    st.fragment(probe_panel.push)(settings, clip, load, found, answered, split=split)
else:
    st.caption("A linear probe on every layer's state tells the modes apart, or cannot.")
