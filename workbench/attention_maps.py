"""The maps of the page Attention once a model is there. What a click chose is kept in the session."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

import address
import attention_cases as cases
import attention_check as check
from attention_panel import show
from clip_state import PickedClip
from guarded import told
from model_state import ModelLoad
from q2a_core.inspection import attention_views as views
from q2a_core.inspection.attention_widget import cause_data, map_data
from q2a_core.inspection.case import Case
from q2a_core.inspection.wording import counted, rounded
from settings import kept
from state import Session

PARTS = {"decoder": "What the reply reads", "encoder": "What the encoder reads"}


def maps(
    session: Session,
    clip: PickedClip,
    case: Case,
    key: str,
    load: ModelLoad,
    columns: Sequence[Any],
) -> None:
    """Pictures to the left, the edit to the right."""
    look = session.attention
    left, right = columns
    with left:
        part = kept(
            st.segmented_control,
            "Maps",
            list(PARTS),
            key="attention_part",
            default=look.part,
            required=True,
            format_func=PARTS.__getitem__,
            label_visibility="collapsed",
        )
        _turn_to(session, part)
        pictures = st.container()  # first on the page, drawn once the knobs to the right are known
    edit = None
    with right, told():
        edit = check.controls(look, case, key, load, weights=_row(session, case, key))
    with pictures:
        show(session, clip, on=_clicks(session, case, key), **_pictures(session, case, key))
        st.caption(_in_words(session, case, key))
    if edit:
        with right, told():
            check.outcome(case, key, edit)
    address.write(session, clip)


def _turn_to(session: Session, part: str) -> None:
    """Show the maps of this part; each part keeps its own layer and head."""
    look, spot = session.attention, session.spot
    if part != look.part:
        look.away[look.part] = spot.layer, spot.head
        spot.layer, spot.head = look.away.pop(part, (None, None))
        look.part = part


def _chosen(session: Session, case: Case) -> tuple[int, int | None]:
    """Layer and head, as far as this model has them; at first the last layer, where words differ most."""
    config = getattr(case.model.config, session.attention.part)
    last, spot = config.num_layers - 1, session.spot
    layer = last if spot.layer is None else min(spot.layer, last)
    return layer, spot.head if (spot.head or 0) < config.num_heads else None


def _map(session: Session, case: Case, key: str) -> np.ndarray:
    return cases.one_map(key, session.attention.part, *_chosen(session, case), case)


def _row(session: Session, case: Case, key: str) -> np.ndarray:
    """Weights (A,) of the locked row, or of all rows together."""
    look, weights = session.attention, _map(session, case, key)
    row = look.rows.get((key, look.part))
    return weights.mean(axis=0) if row is None else weights[row]


def _pictures(session: Session, case: Case, key: str) -> dict[str, Any]:
    look = session.attention
    layer, head = chosen = _chosen(session, case)
    which = f"layer {layer + 1}, {'mean of heads' if head is None else f'head {head + 1}'}"
    row = look.rows.get((key, look.part))
    words = case.words if look.part == "decoder" else None
    cause = None
    if look.cause and look.cause[0] == key:
        word = words[row] if words and row is not None else None
        cause = cause_data(
            look.cause[2],
            title=f"{'“' + word.text + '”' if word else 'The reply'}: {look.cause[1]}",
            words=(word.first, word.stop) if word else (0, None),
        )
    return {
        "chosen": chosen,
        "locked": row,
        "span": look.spans.get(key),
        "thumbs": cases.thumbs(key, look.part, case),
        "map_": map_data(
            views.picture(_map(session, case, key)),
            gamma=views.GAMMA,
            title=f"{look.part}, {which}",
            labels=[word.text for word in words] if words else None,
        ),
        "cause": cause,
    }


def _in_words(session: Session, case: Case, key: str) -> str:
    """The numbers of the chosen picture as sentences."""
    view = cases.overview(key, session.attention.part, case)
    layer, head = _chosen(session, case)
    place = 0 if head is None else head + 1
    bits = float(view.entropy[layer, place])
    text = (
        f"Here a row reads {2**bits:.0f} of the clip's {counted(view.columns, 'token')}, as it were: "
        f"{rounded(bits, 1)} of at most {views.most_bits(view.columns):.1f} bits."
    )
    if view.share is not None:
        audio, prompt, reply = view.share[layer, place]
        text += (
            f" {audio:.0%} of its attention is on the sound, {prompt:.0%} on the prompt's text, {reply:.0%} on the "
            f"reply so far; reading all places alike, {view.even_share:.0%} would be on the sound."
        )
    return text


def _clicks(session: Session, case: Case, key: str) -> dict[str, Any]:
    """What to do when something in the pictures is clicked."""
    look, spot = session.attention, session.spot

    def clicked(name: str) -> Any:
        return st.session_state["attention_view"][name]

    def choose() -> None:
        layer, head = clicked("chosen")
        spot.layer, spot.head = int(layer), None if head < 0 else int(head)

    def lock() -> None:
        row = int(clicked("row"))
        rows = len(case.words) if look.part == "decoder" else case.num_tokens
        look.rows.pop((key, look.part), None)
        if 0 <= row < rows:
            look.rows[key, look.part] = row

    def mark() -> None:
        first, stop = (min(int(end), case.num_tokens) for end in clicked("range"))
        check.set_span(look, key, (first, stop))

    def cell() -> None:
        if look.cause and look.cause[0] == key:
            site, window = clicked("cell")
            check.set_site(look, look.cause[2].sites[site])
            check.set_span(look, key, look.cause[2].windows[window])

    return {"chosen": choose, "row": lock, "range": mark, "cell": cell}
