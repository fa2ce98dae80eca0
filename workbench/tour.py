"""The guided tour: it walks from stop to stop, opens the panel that a stop explains, and outlines it.

Stops of pages that are not there are left out.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from settings import change
from state import Session
from tour_stops import STOPS, Stop

PAGES = Path(__file__).parent / "app_pages"


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
