"""What the page Attention computes once and keeps for all tabs: cases, maps and edits, by what they depend on."""

from typing import Any

import numpy as np
import streamlit as st

from attention_state import Span
from clip_state import PickedClip
from model_state import ModelLoad
from q2a_core.inspection import attention_views as views
from q2a_core.inspection.attention_widget import thumbs_data
from q2a_core.inspection.case import Case, open_case
from q2a_core.inspection.causes import Effect, edit_effect
from q2a_core.inspection.edits import Site

LONGEST_REPLY = 64
"""Tokens of a reply that are looked at."""
SEED = 0
"""Draws noise and random ranges."""


def case_key(clip: PickedClip, asked: str | None, load: ModelLoad) -> str:
    """Names a clip, a question and a model in caches and widgets."""
    return f"{clip.key}|{load.source}|{load.stamp}|{asked or ''}"


def opened(clip: PickedClip, asked: str | None, load: ModelLoad) -> Case:
    """The case of a clip and a question. Raises Q2AError."""
    return _case(case_key(clip, asked, load), clip, asked, load)


@st.cache_resource(max_entries=12, show_spinner="Listening…")
def _case(key: str, _clip: PickedClip, _asked: str | None, _load: ModelLoad) -> Case:
    chat = _load.future.result()
    return open_case(chat, _clip.waveform, _asked, max_new_tokens=LONGEST_REPLY)


@st.cache_resource(max_entries=24, show_spinner="Looking at every head…")
def overview(key: str, part: str, _case: Case) -> views.Overview:
    """All small maps of encoder or decoder."""
    return views.overview(_case, part)


@st.cache_resource(max_entries=24, show_spinner=False)
def thumbs(key: str, part: str, _case: Case) -> dict[str, Any]:
    """The same as the browser takes them."""
    return thumbs_data(overview(key, part, _case))


@st.cache_resource(max_entries=32, show_spinner=False)
def one_map(key: str, part: str, layer: int, head: int | None, _case: Case) -> np.ndarray:
    """One map in full (rows, A); the frame that the encoder's pool drops is left out."""
    weights = views.one_map(_case, part, layer, head)
    rows = _case.num_tokens if part == "encoder" else len(weights)
    return weights[:rows, : _case.num_tokens]


@st.cache_data(max_entries=256, show_spinner=False)
def effect(
    key: str, span: Span, site: Site, fill: str, keep: bool, _case: Case, _other: Case | None
) -> Effect:
    """What one edit does; `key` names the other clip's case too."""
    rng = np.random.default_rng(SEED)
    return edit_effect(_case, span, site=site, fill=fill, keep=keep, other=_other, rng=rng)
