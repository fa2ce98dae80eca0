"""Files that a visitor gave: they outlive a change of page, are named, and can be taken away again."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import streamlit as st

import state
from plain import plain


def given(widget: Callable[..., Any], label: str, *, key: str, **options: Any) -> BytesIO | None:
    """Draw the widget that takes a file, and return the one that is held, whichever page took it."""
    session = state.session()
    number = session.emptied.get(key, 0)
    drawn = f"{key}_{number}" if number else key
    widget(label, key=drawn, on_change=_keep, args=(key, drawn), **options)
    return session.files.get(key)


def _keep(key: str, drawn: str) -> None:
    """A file that was given, or taken away again; called when its widget changes and not when the page does."""
    state.session().files[key] = st.session_state[drawn]


def in_use(key: str, name: str, *, most_mb: int | None = None) -> None:
    """Name what is held, with a button that lets go of it, and say what becomes of it where the next is too large."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"in_use_{key}"):
        stays = f"; a file over {most_mb} MB is not taken, and this one stays" if most_mb else ""
        st.caption(f":material/audio_file: Using **{plain(name)}**{stays}.", width="content")
        st.button(
            "Remove",
            icon=":material/close:",
            type="tertiary",
            key=f"remove_{key}",
            on_click=_let_go,
            args=(key,),
        )


def _let_go(key: str) -> None:
    session = state.session()
    session.files[key] = None
    session.emptied[key] = session.emptied.get(key, 0) + 1
