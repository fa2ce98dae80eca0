"""Attention: where every layer and head looks, word by word on the clip's time axis, and whether the reply needs it."""

import streamlit as st

import attention_panel
import panels
import state

session = state.session()
with st.sidebar:
    panels.checkpoint_choice(session)
    panels.what_can_i_say(session)

with st.container(horizontal=True, vertical_alignment="bottom", key="heading"):
    st.title("Attention", anchor=False, width="content")
    st.caption(
        "Where the model looks while it answers, and whether the answer needs what lies there."
    )

left, right = st.columns([3, 2], gap="large")
clip, question = None, None
with left:
    try:
        clip = panels.clip_choice()
    except Exception as error:
        st.error(panels.plain(state.explain(error)))
with right:
    question = attention_panel.question(session, clip)
    status = st.container()
if clip is None:
    panels.no_clip()
else:
    attention_panel.look(session, clip, question)
attention_panel.explanation()
with status:  # last: from now on the page counts as painted, and the model may load
    panels.model_status(session)
