"""What every page has: title, teaching text, the clip and its player, the checkpoint, and the chat about the clip.

A page begins with `clip = frame.top(title, lead, text)` and draws what it is about below. Whatever is chosen here is
the same on every page and stays when the page changes; the browser's address names it.
"""

from dataclasses import dataclass

import streamlit as st

import address
import chat_panel
import clip_panel
import panels
import stand
import state
import theme
import tour
from clip_state import PickedClip
from guarded import part
from plain import plain
from state import Session

CHAT_WIDTH = 520


@dataclass(frozen=True, kw_only=True)
class PageText:
    """A page's teaching text, a sentence or two each, in Markdown."""

    see: str
    attempt: str
    why: str
    limits: str


def top(
    title: str,
    lead: str,
    text: PageText,
    *,
    player: bool = True,
    beside: bool = False,
) -> PickedClip | None:
    """Draw the top of a page; returns the clip, or None until there is one that can be read.

    The chat stands `beside` the player, or in a popover that its button in the heading opens. A page that
    draws the clip itself wants no `player`.
    """
    stand.enter()
    session = state.session()
    session.is_resent, session.is_running = session.is_running, True
    visit = address.read(session)
    tour.follow(session, title)
    theme.draw()
    with st.sidebar:
        tour.draw(session)
        panels.checkpoint_choice(session)
        panels.what_can_i_say(session)
        stand.draw()
    with st.container(horizontal=True, vertical_alignment="bottom", key="heading"):
        st.title(title, anchor=False, width="content")
        st.caption(lead, width="stretch")
        popover = (
            None
            if beside
            else st.popover("Chat about this clip", icon=":material/forum:", key="chat")
        )
    unknown = st.empty()
    left, right = (st.container(), popover) if popover else st.columns([3, 2], gap="large")
    with left:
        clip: PickedClip | None = part(_clip, session, title, player=player)
    if said := address.sentence(visit):
        unknown.info(plain(said), icon=":material/link_off:")
    with right, st.container(width="stretch" if beside else CHAT_WIDTH):
        st.fragment(chat_panel.chat)(session, clip, split=clip_panel.is_cut(session, clip))
    _draw_text(text)
    address.write(session, clip)
    return clip


def _clip(session: Session, title: str, *, player: bool) -> PickedClip | None:
    """The choice of a clip and its player. Raises Q2AError."""
    clip = clip_panel.clip_choice()
    address.settle(session, clip, title)
    if clip:
        if player:
            panels.player(clip, token=session.visit.token_at_start)
        clip_panel.clip_notes(clip)
        clip_panel.split_choice(session, clip)
    else:
        clip_panel.no_clip()
    return clip


def _draw_text(text: PageText) -> None:
    with st.expander("What you see, what to try, and why", icon=":material/school:", key="text"):
        parts = {
            "What you see": text.see,
            "Try this": text.attempt,
            "Why it is so": text.why,
            "Its limits": text.limits,
        }
        for column, (heading, words) in zip(
            st.columns(4, gap="medium"), parts.items(), strict=True
        ):
            column.markdown(f"**{heading}**\n\n{words}")
