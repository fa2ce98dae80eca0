"""The address of what is seen: clip, checkpoint, layer, head and token in the URL, so that a link shows it again.

The page is the address's path. Parameters are read when a visit begins and when the browser goes back or forward; after
every run they are written. What a link names and is not here is left out, and one sentence says so. A link may name
shipped checkpoints only: it must not make the workbench open a directory or load a hub id.
"""

from dataclasses import dataclass, field

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

import clip_state
import state
from clip_state import PickedClip
from q2a_core import paths
from q2a_core.inspection import read_gallery
from settings import change
from state import Session

NUMBERS = ("layer", "head", "token")
NAMES = ("clip", "checkpoint", *NUMBERS)
LONGEST = 40
"""Characters of an unknown value that are repeated to the visitor."""


@dataclass
class Visit:
    """What is remembered between two runs of a page."""

    runs: int = 0
    """Pages drawn so far, the present one counted."""
    page: str = ""
    clip_key: str = ""
    token_at_start: int | None = None
    """Chosen in the player when it appeared; it must not change under a player that is there."""
    unknown: list[str] = field(default_factory=list)
    """What the link names and is not here."""


def read(session: Session) -> Visit:
    """Take over what the link says, once."""
    first = session.visit is None
    if first:
        session.visit = Visit()
    context = get_script_run_ctx()
    if first or getattr(context, "is_history_navigation", False):
        _take_over(session, session.visit)
    session.visit.runs += 1
    session.has_painted |= session.visit.runs > 1
    return session.visit


def _take_over(session: Session, visit: Visit) -> None:
    wanted = st.query_params.to_dict()
    visit.unknown, visit.page, visit.clip_key = [], "", ""
    if "clip" in wanted:
        if wanted["clip"] in {sample.name for sample in read_gallery()}:
            change("clip_source", "Samples")
            change("sample", wanted["clip"])
        else:
            _miss(visit, "clip", wanted["clip"])
    if "checkpoint" in wanted:
        if wanted["checkpoint"] in paths.shipped_checkpoints():
            session.source = wanted["checkpoint"]
            change("checkpoint", session.source)
        else:
            _miss(visit, "checkpoint", wanted["checkpoint"])
    for name in NUMBERS:
        text = wanted.get(name)
        is_number = bool(text and text.isascii() and text.isdigit() and len(text) < 6)
        setattr(session.spot, name, int(text) if text and is_number else None)
        if text is not None and not is_number:
            _miss(visit, name, text)


def _miss(visit: Visit, name: str, value: str) -> None:
    short = value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"
    visit.unknown.append(f"{name} “{short}”")


def settle(session: Session, clip: PickedClip | None, page: str) -> None:
    """Let the spot fit clip and model: what is beyond their ends is unknown; another clip begins without a token."""
    visit, spot = session.visit, session.spot
    key = clip.key if clip else ""
    is_other_clip = bool(visit.clip_key) and key != visit.clip_key
    if is_other_clip:
        spot.token = None
    for name, count in _counts(session, clip).items():
        value = getattr(spot, name)
        if value is not None and value >= count:
            _miss(visit, name, str(value))
            setattr(spot, name, None)
    if (key, page) != (visit.clip_key, visit.page):
        if visit.page:  # the visitor has moved on from what the link showed
            visit.unknown = []
        visit.token_at_start = spot.token
    visit.clip_key, visit.page = key, page


def _counts(session: Session, clip: PickedClip | None) -> dict[str, int]:
    """How many layers, heads and tokens there are, where that is asked for and known."""
    counts = {}
    if clip and session.spot.token is not None:
        counts["token"] = clip_state.clip_view(clip).audio_tokens
    is_asked = session.spot.layer is not None or session.spot.head is not None
    if is_asked and (dimensions := state.dimensions(session)):
        parts = dimensions.config.encoder, dimensions.config.decoder
        counts["layer"] = max(part.num_layers for part in parts)
        counts["head"] = max(part.num_heads for part in parts)
    return counts


def sentence(visit: Visit) -> str:
    """What could not be shown; empty if the link was right."""
    if not visit.unknown:
        return ""
    what = ", ".join(visit.unknown)
    return f"This link asks for {what}: not known here, so the page shows its defaults instead."


def write(session: Session, clip: PickedClip | None) -> None:
    """Make the browser's address that of what is seen; an upload or a recording cannot be part of it."""
    now = {
        "clip": clip.sample.name if clip and clip.sample else None,
        "checkpoint": session.source if session.source in paths.shipped_checkpoints() else None,
        **{name: getattr(session.spot, name) for name in NUMBERS},
    }
    before = st.query_params.to_dict()
    others = {name: value for name, value in before.items() if name not in NAMES}
    after = others | {name: str(value) for name, value in now.items() if value is not None}
    if after != before:
        st.query_params.from_dict(after)


def write_token(session: Session) -> None:
    """The token alone, which changes while the rest of the page stays as it is."""
    if session.visit is None:
        return
    if session.spot.token is None:
        st.query_params.pop("token", None)
    else:
        st.query_params["token"] = str(session.spot.token)
