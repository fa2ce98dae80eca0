"""A public stand, as `q2a workbench --demo` opens it: strangers look, listen and ask, within bounds, and train nothing.

The command sets Q2A_DEMO for the server. Then only shipped checkpoints can be chosen, uploads are small, the owner's
runs are not shown, and no more visitors are let in than the machine can answer.
"""

import os
import threading
import time
from urllib.parse import urlsplit

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from q2a_core.teaching.launch import DEMO, UPLOAD_MB

VISITORS = 12
"""Tabs that are served at once."""
IDLE_SECONDS = 600.0
"""A tab that did nothing for so long gives up its place when somebody waits for one."""
CLIP_SECONDS = {False: 120.0, True: 30.0}
"""Longest clip that is taken: four windows of the model, on a stand one."""
MOST_PAIRS = 40
"""Pairs that a visitor of a stand may collect."""
LOCAL = ("localhost", "127.0.0.1", "::1")
ABOUT = (
    "**A public stand.** Nothing is trained here, only shipped checkpoints can be chosen, and what you upload or "
    "record (at most {megabytes} MB and {seconds:g} s) is forgotten when you close the page. `q2a workbench` on your "
    "own machine does it all."
)
NO_PLACE = (
    "This stand serves {visitors} visitors at once and all places are taken. "
    "Load the page again in a minute or two."
)
NO_TRAINING = (
    "This is a public stand: nothing is trained here. On your own machine `q2a workbench` runs this page in full; here "
    "you see what was recorded when the shipped checkpoint was made."
)
NO_MICROPHONE = (
    "This page came over plain http from another machine: browsers give the microphone only to pages that come over "
    "https, or from this machine itself. Upload a recording instead."
)
_lock = threading.Lock()


def is_public() -> bool:
    """Whether this is a public stand."""
    return os.environ.get(DEMO) == "1"


def upload_mb() -> int:
    """Largest file that is taken."""
    return UPLOAD_MB[is_public()]


def clip_seconds() -> float:
    """Longest clip that is taken."""
    return CLIP_SECONDS[is_public()]


@st.cache_resource(show_spinner=False)
def _seen() -> dict[str, float]:
    """When each visitor last did something."""
    return {}


def enter() -> None:
    """Let a visitor of a stand in, or say that it is full and end the page's run."""
    if is_public() and not _has_place(_visitor(), time.monotonic()):
        st.warning(NO_PLACE.format(visitors=VISITORS), icon=":material/hourglass:")
        st.stop()


def stay() -> None:
    """Keep a visitor's place who asks or turns a knob: often only that part of the page runs, and nobody enters."""
    visitor, seen = _visitor(), _seen()
    with _lock:
        if visitor in seen:
            seen[visitor] = time.monotonic()


def _visitor() -> str:
    context = get_script_run_ctx()
    return context.session_id if context else ""


def _has_place(visitor: str, now: float) -> bool:
    seen = _seen()
    with _lock:
        for other in [other for other in seen if other != visitor and not _is_open(other)]:
            del seen[other]
        if visitor not in seen and len(seen) >= VISITORS:
            oldest = min(seen, key=seen.__getitem__)
            if now - seen[oldest] < IDLE_SECONDS:
                return False
            del seen[oldest]
        seen[visitor] = now
    return True


def _is_open(visitor: str) -> bool:
    """Whether a visitor's tab is still connected."""
    return not runtime.exists() or runtime.get_instance().is_active_session(visitor)


def draw() -> None:
    """What a visitor has to know; nothing where this is no stand."""
    if is_public():
        st.caption(ABOUT.format(megabytes=upload_mb(), seconds=clip_seconds()))


def microphone() -> bool:
    """Whether the browser may give the microphone; said where it will refuse."""
    address = urlsplit(st.context.url or "")
    is_refused = address.scheme == "http" and address.hostname not in LOCAL
    if is_refused:
        st.caption(f":material/mic_off: {NO_MICROPHONE}")
    return not is_refused
