"""The page Attention before the model is there: the question, the clip on its axis, and the words around them.

Nothing here needs torch; once the model has loaded, `attention_maps` and `attention_check` draw the rest.
"""

import json
from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

import address
import clip_state
from clip_state import PickedClip
from frame import PageText
from guarded import told
from panels import player_data
from q2a_core.inspection.attention_widget import (
    ATTENTION_SKELETON,
    attention_css,
    attention_data,
    attention_js,
)
from q2a_core.lengths import beyond
from state import Session
from theme import ON_ACCENT

MOUNT = """
export default function ({ data, parentElement, setTriggerValue }) {
  const shown = JSON.parse(new TextDecoder().decode(data));
  const root = parentElement.querySelector(".q2a-attention");
  const view = mountAttention(root, shown, setTriggerValue);
  return () => view.dispose();
}
"""
mount_attention = component(
    "q2a_attention",
    html=ATTENTION_SKELETON,
    css=attention_css() + ON_ACCENT,
    js=attention_js() + MOUNT,
)
STACKED = """<style>
.st-key-attention_look { container-type: inline-size; }
@container (max-width: 800px) { .st-key-attention_look [data-testid="stColumn"] { min-width: 100%; } }
</style>"""
"""Where there is no room for both, as beside an open sidebar, the edit stands below the maps."""
TEXT = PageText(
    see="""Each small picture is one head of one layer: a row reads, columns are what is read, 40 ms each. In the
decoder a row is a word of the reply, at the moment at which it is chosen; in the encoder it is a moment of the clip.
Brightness is the square root of the weight, each picture up to its own largest. *Bits* are the entropy of a row: with
3 bits it reads as if 8 tokens alike. The bar beside a layer is the share of its attention that goes to the sound rather
than to text; the mark on it is the share of a layer that would read every place alike.""",
    attempt="""Take *a cat, then "seven three five"*, the last layer, and lock the words one after the other: does the
bright stretch move to the right as the words are spoken? Press *What it reads most*: does the reply still hold? Drag
the range to the cat, and look again. *Layers × time* draws the check for every layer and every moment: compare it with
the attention above. Then take a sound that lasts: often no single range is needed; turn to *Is it enough?*""",
    why="""The decoder writes one token at a time, and only through attention does a word learn of the clip. The
encoder has mixed neighbouring moments before, so a token knows more than its own 40 ms; and in the upper layers the
text has taken in what it needed: there an edit of the audio places does nothing any more.""",
    limits="""Attention is not explanation: a head may look where it takes nothing, and a small weight may decide.
That is why the edit stands beside the map. But edits mislead too. Zeros and noise are states the model has never
met, so that some of the harm is mere strangeness: hence the random ranges. The clip's mean keeps what lasts through
the clip, and for a steady sound that is the answer itself. And where the evidence comes twice, neither is needed.""",
)


def question(session: Session, clip: PickedClip | None) -> str | None:
    """The question about this clip; None is the clip alone."""
    known = session.attention.questions
    key = clip.key if clip else ""
    default = (clip.sample.ask or "") if clip and clip.sample else ""
    widget = f"attention_question_{key}"
    st.session_state.setdefault(widget, known.get(key, default))
    text = st.text_input(
        "Question",
        key=widget,
        max_chars=400,
        disabled=clip is None,
        placeholder="no question: the clip alone, as in voice chat",
        label_visibility="collapsed",
    )
    known[key] = text
    return text.strip() or None


@st.fragment
def look(session: Session, clip: PickedClip, asked: str | None) -> None:
    """The clip with its maps, and beside them what an edit does; without a model the clip alone."""
    st.html(STACKED)
    with st.container(key="attention_look"):
        left, right = st.columns([3, 2], gap="large")
    columns = left.container(key="attention_pictures"), right.container(key="attention_edit")
    load = session.ready()
    if load is None:
        with columns[0]:
            show(session, clip)
        columns[1].caption(
            ":material/hourglass_top: The maps appear under the log-mel once the model is there: for every word of its "
            "reply the moments that it reads, and here what becomes of the reply without them."
        )
        return
    if clip.waveform.seconds > clip_state.WINDOW_SECONDS:
        with columns[0]:
            show(session, clip)
        columns[1].info(
            f"This clip lasts {beyond(clip.waveform.seconds, clip_state.WINDOW_SECONDS)}; attention is looked at "
            f"within one window of {clip_state.WINDOW_SECONDS:g} s. Choose or cut a shorter clip.",
            icon=":material/timer:",
        )
        return
    from attention_cases import case_key, opened  # they need torch, which is there now
    from attention_maps import maps

    case = None
    with told(columns[1]):
        case = opened(clip, asked, load)
    if case is None:
        with columns[0]:
            show(session, clip)
        return
    maps(session, clip, case, case_key(clip, asked, load), load, columns)


def show(
    session: Session,
    clip: PickedClip,
    *,
    on: dict[str, Callable[[], None]] | None = None,
    **parts: Any,
) -> None:
    """The player with whatever is known under it; `on` holds what to do when something is clicked.

    A token that is clicked becomes `Session.spot.token`.
    """

    def choose_token() -> None:
        token = int(st.session_state["attention_view"]["token"])
        session.spot.token = None if token < 0 else token
        address.write_token(session)

    view, token = clip_state.clip_view(clip), session.visit.token_at_start
    player = player_data(view, clip.waveform.samples, name=clip.waveform.name, token=token)
    data = attention_data(player, **parts)
    actions = {"token": choose_token, **(on or {})}
    callbacks: dict[str, Any] = {f"on_{name}_change": action for name, action in actions.items()}
    mount_attention(data=json.dumps(data).encode(), key="attention_view", **callbacks)
