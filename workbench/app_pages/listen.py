"""Listen: one clip, what the model receives of it, and what it answers."""

import streamlit as st

import chat_panel
import panels
import state

session = state.session()
with st.sidebar:
    panels.checkpoint_choice(session)
    panels.what_can_i_say(session)

with st.container(horizontal=True, vertical_alignment="bottom", key="heading"):
    st.title("Listen", anchor=False, width="content")
    st.caption("One clip, what the model receives of it, and what it answers.")

left, right = st.columns([3, 2], gap="large")
clip, split = None, False
with left:
    try:
        clip = panels.clip_choice()
        if clip:
            panels.player(clip)
            panels.clip_notes(clip)
            split = panels.split_choice(clip)
        else:
            panels.no_clip()
    except Exception as error:
        clip = None
        st.error(panels.plain(state.explain(error)))
with right:
    chat_panel.chat(session, clip, split=split)
