"""The guided tour: stops that open the very panel they explain, outline it, and say what to try there.

A stop names a page, the key of what it outlines, and settings that it changes on arrival. Stops of pages that are not
there are left out, so that every page can bring its own.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from settings import change
from state import Session

PAGES = Path(__file__).parent / "app_pages"


@dataclass(frozen=True, kw_only=True)
class Stop:
    """One panel and what there is to learn from it."""

    page: str
    """Title of the page; its file in `app_pages` has the same name in small letters."""
    key: str
    """Key of the container or widget that is outlined."""
    title: str
    text: str
    settings: dict[str, Any] = field(default_factory=dict)
    """Keys of `settings.kept` and the values that open the panel."""
    token: int | None = None
    """Audio token that is chosen in the player."""


STOPS = (
    Stop(
        page="Listen",
        key="clip_choice",
        title="A clip",
        text="Everything begins with a sound: one that ships, one of yours, or what the microphone hears. Press "
        "**Play** and follow the playhead.",
        settings={"clip_source": "Samples"},
    ),
    Stop(
        page="Listen",
        key="player",
        title="One audio token",
        text="Token 12 is chosen. Press the three brackets under it: its stride is too short to know anything by, what "
        "it reads is little more, and through attention it knows the whole clip.",
        token=12,
    ),
    Stop(
        page="Listen",
        key="questions",
        title="Ask about it",
        text="Send the clip alone and it is *voice chat*: the model answers what was said. Add a question and it is "
        "*analysis*. Nothing else switches the mode.",
    ),
    Stop(
        page="Listen",
        key="closer_panel",
        title="What a second costs",
        text="Move the slider: 25 tokens for each second, each with a key and a value in every layer. At 30 s the "
        "encoder's window is full.",
        settings={"closer": "Token budget"},
    ),
    Stop(
        page="Listen",
        key="closer_panel",
        title="What the model does not hear",
        text="Here are 16 mel bands instead of 128, and the sound that can be made of them. Is the word still there? "
        "Is the voice? Take the bands up again until both are.",
        settings={"closer": "Front-end lab", "lab_mels": 16, "lab_n_fft": 400, "lab_hop": 160},
    ),
    Stop(
        page="Listen",
        key="checkpoint",
        title="Another model",
        text="The same clip and the same question, with an earlier checkpoint: what did training add?",
    ),
)


def stops() -> list[Stop]:
    """Those whose page is there."""
    return [stop for stop in STOPS if (PAGES / _file(stop)).is_file()]


def _file(stop: Stop) -> str:
    return f"{stop.page.lower()}.py"


def draw(session: Session) -> None:
    """The tour's card for the sidebar: where it stands, or how to begin it."""
    if session.tour is None:
        st.button(
            "Guided tour", icon=":material/tour:", key="tour", on_click=_go, args=(session, 0)
        )
        return
    there = stops()
    stop = there[session.tour]
    with st.container(border=True, key="tour_card"):
        st.caption(f"Guided tour, {session.tour + 1} of {len(there)}")
        st.markdown(f"**{stop.title}**\n\n{stop.text}")
        back, on, end = st.columns(3)
        last = session.tour + 1 == len(there)
        _button(back, "Back", session, session.tour - 1, disabled=session.tour == 0)
        _button(on, "Next", session, session.tour + 1, disabled=last, type="primary")
        _button(end, "End", session, None)
    outline = "{ outline: 3px solid #c2410c; outline-offset: 6px; border-radius: 8px; }"
    st.html(f"<style>.st-key-{stop.key} {outline}</style>")


def _button(column: Any, label: str, session: Session, stop: int | None, **options: Any) -> None:
    key = f"tour_{label.lower()}"
    column.button(label, key=key, on_click=_go, args=(session, stop), width="stretch", **options)


def _go(session: Session, number: int | None) -> None:
    """Walk to a stop, or out of the tour; the panel it explains is opened."""
    session.tour = number
    if number is None:
        return
    stop = stops()[number]
    for key, value in stop.settings.items():
        change(key, value)
    if stop.token is not None and session.visit:
        session.spot.token = session.visit.token_at_start = stop.token


def follow(session: Session, page: str) -> None:
    """Open the stop's page on arrival, if it is not `page`; a visitor who leaves it later is not called back."""
    has_arrived, session.toured = session.toured == session.tour, session.tour
    if session.tour is None or has_arrived:
        return
    stop = stops()[session.tour]
    if stop.page != page:
        with suppress(StreamlitAPIException):  # a page that runs alone has no others
            st.switch_page(f"app_pages/{_file(stop)}")
