"""The maps of the page Attention once a model is there. What a click chose is kept in the session."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import streamlit as st

import attention_cases as cases
import attention_check as check
from attention_panel import show
from attention_state import AttentionState, hold
from clip_state import Clip
from explain import explain
from model_state import ModelLoad
from panels import plain
from q2a_core.inspection import attention_views as views
from q2a_core.inspection.attention_widget import cause_data, map_data
from q2a_core.inspection.case import Case
from settings import kept
from state import Session

PARTS = {"decoder": "What the reply reads", "encoder": "What the encoder reads"}


def maps(
    session: Session, clip: Clip, case: Case, key: str, load: ModelLoad, columns: Sequence[Any]
) -> None:
    """Pictures to the left, the edit to the right."""
    look = session.attention
    left, right = columns
    with left:
        look.part = kept(
            st.segmented_control,
            "Maps",
            list(PARTS),
            key="attention_part",
            default=look.part,
            required=True,
            format_func=PARTS.__getitem__,
            label_visibility="collapsed",
        )
        pictures = st.container()  # first on the page, drawn once the knobs to the right are known
    edit = None
    with right, _said():
        edit = check.controls(look, case, key, load, weights=_row(look, case, key))
    with pictures:
        show(clip, on=_clicks(look, case, key), **_pictures(look, case, key))
        st.caption(_in_words(look, case, key))
    if edit:
        with right, _said():
            check.outcome(case, key, edit)


@contextmanager
def _said() -> Iterator[None]:
    """An error becomes a sentence where it happened, and the rest of the page stays."""
    try:
        yield
    except Exception as error:
        st.error(plain(explain(error)))


def _chosen(look: AttentionState, case: Case) -> tuple[int, int | None]:
    """Layer and head, as far as this model has them; at first the last layer, where words differ most."""
    config = getattr(case.model.config, look.part)
    layer, head = look.chosen.get(look.part, (config.num_layers - 1, None))
    return min(layer, config.num_layers - 1), head if (head or 0) < config.num_heads else None


def _map(look: AttentionState, case: Case, key: str) -> np.ndarray:
    return cases.one_map(key, look.part, *_chosen(look, case), case)


def _row(look: AttentionState, case: Case, key: str) -> np.ndarray:
    """Weights (A,) of the locked row, or of all rows together."""
    weights = _map(look, case, key)
    row = look.rows.get((key, look.part))
    return weights.mean(axis=0) if row is None else weights[row]


def _pictures(look: AttentionState, case: Case, key: str) -> dict[str, Any]:
    layer, head = chosen = _chosen(look, case)
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
            views.picture(_map(look, case, key)),
            gamma=views.GAMMA,
            title=f"{look.part}, {which}",
            labels=[word.text for word in words] if words else None,
        ),
        "cause": cause,
    }


def _in_words(look: AttentionState, case: Case, key: str) -> str:
    """The numbers of the chosen picture as sentences."""
    view = cases.overview(key, look.part, case)
    layer, head = _chosen(look, case)
    place = 0 if head is None else head + 1
    bits = float(view.entropy[layer, place])
    text = (
        f"Here a row reads {2**bits:.0f} of the clip's {view.columns} tokens, as it were: {bits:.1f} of at most "
        f"{views.most_bits(view.columns):.1f} bits."
    )
    if view.share is not None:
        audio, prompt, reply = view.share[layer, place]
        text += (
            f" {audio:.0%} of its attention is on the sound, {prompt:.0%} on the prompt's text, {reply:.0%} on the "
            f"reply so far; reading all places alike, {view.even_share:.0%} would be on the sound."
        )
    return text


def _clicks(look: AttentionState, case: Case, key: str) -> dict[str, Any]:
    """What to do when something in the pictures is clicked."""

    def clicked(name: str) -> Any:
        return st.session_state["attention_view"][name]

    def choose() -> None:
        layer, head = clicked("chosen")
        look.chosen[look.part] = (int(layer), None if head < 0 else int(head))

    def lock() -> None:
        row = int(clicked("row"))
        rows = len(case.words) if look.part == "decoder" else case.num_tokens
        look.rows.pop((key, look.part), None)
        if 0 <= row < rows:
            hold(look.rows, (key, look.part), row)

    def mark() -> None:
        first, stop = clicked("range")
        check.set_span(look, key, (int(first), int(stop)))

    def cell() -> None:
        if look.cause:
            site, window = clicked("cell")
            check.set_site(look, look.cause[2].sites[site])
            check.set_span(look, key, look.cause[2].windows[window])

    return {"chosen": choose, "row": lock, "range": mark, "cell": cell}
