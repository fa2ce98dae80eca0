"""What every page with a clip has: its title and teaching text, the clip and its player, and the checkpoint."""

from dataclasses import dataclass

import streamlit as st

import panels
import state
from state import Clip


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A page's teaching text, a sentence or two each, in Markdown."""

    see: str
    attempt: str
    why: str
    limits: str


def top(title: str, lead: str, lesson: Lesson) -> Clip | None:
    """Draw the top of a page; returns the clip, or None until there is one that can be read."""
    session = state.session()
    with st.sidebar:
        panels.checkpoint_choice(session)
        panels.model_status(session)
        panels.what_can_i_say(session)
    with st.container(horizontal=True, vertical_alignment="bottom", key="heading"):
        st.title(title, anchor=False, width="content")
        st.caption(lead, width="stretch")
    clip = None
    try:
        clip = panels.clip_choice()
        if clip:
            panels.player(clip)
            panels.clip_notes(clip)
        else:
            panels.no_clip()
    except Exception as error:
        clip = None
        st.error(panels.plain(state.explain(error)))
    with st.expander("What you see, what to try, and why", icon=":material/school:", key="lesson"):
        parts = {
            "What you see": lesson.see,
            "Try this": lesson.attempt,
            "Why it is so": lesson.why,
            "Its limits": lesson.limits,
        }
        for column, (heading, text) in zip(st.columns(4, gap="medium"), parts.items(), strict=True):
            column.markdown(f"**{heading}**\n\n{text}")
    return clip
