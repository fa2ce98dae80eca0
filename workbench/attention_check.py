"""The edit beside the maps: which range, with what, where; and what the reply does, beside random ranges."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

import attention_cases as cases
import clip_state
from attention_state import AttentionState, Span
from model_state import ModelLoad
from plain import plain
from q2a_core import lengths
from q2a_core.inspection import read_gallery
from q2a_core.inspection.attention_views import busiest_range
from q2a_core.inspection.case import Case
from q2a_core.inspection.causes import CausalMap, Effect, causal_rows, collect_rows, window_width
from q2a_core.inspection.edits import AUDIO_TOKENS, Site, sites, windows
from q2a_core.inspection.wording import signed
from settings import change, kept

FILLS = {"mean": "the clip's mean", "zero": "zeros", "noise": "noise", "other": "another clip"}
QUESTIONS = {False: "Is it needed?", True: "Is it enough?"}
FIRST_WIDTH = 5
"""Tokens of the range that is proposed first: 200 ms."""
SLIGHT = 0.1
"""Nats below which a change is called none: the reply is nine tenths as likely as before, or more."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What is overwritten."""

    span: Span
    fill: str
    site: Site
    keep: bool
    other: Case | None
    other_key: str

    @property
    def in_words(self) -> str:
        asks = "is it enough" if self.keep else "is it needed"
        return f"{asks}? ({FILLS[self.fill]})"


def controls(
    look: AttentionState, case: Case, key: str, load: ModelLoad, *, weights: np.ndarray
) -> Edit:
    """The knobs; `weights` (A,) is the row that is looked at, for the range it reads most. Raises Q2AError."""
    st.markdown(f"**Reply:** {plain(case.reply.text) or '(an empty reply)'}")
    look.keep = kept(
        st.segmented_control,
        "The check",
        list(QUESTIONS),
        key="attention_keep",
        default=look.keep,
        required=True,
        format_func=QUESTIONS.__getitem__,
        label_visibility="collapsed",
        help="Needed: the range is overwritten. Enough: everything else is overwritten, the range alone is left.",
    )
    span = _span(look, case, key, weights)
    with st.container(horizontal=True):
        look.fill = kept(
            st.selectbox,
            "Overwrite with",
            list(FILLS),
            key="attention_fill",
            default=look.fill,
            format_func=FILLS.__getitem__,
        )
        look.site = kept(
            st.selectbox,
            "in what enters",
            sites(case.model.config),
            key="attention_site",
            default=AUDIO_TOKENS,
            format_func=lambda site: site.label,
        )
    other, other_key = _donor(look, load) if look.fill == "other" else (None, "")
    edit = Edit(
        span=span, fill=look.fill, site=look.site, keep=look.keep, other=other, other_key=other_key
    )
    with st.container(horizontal=True):
        st.button(
            "What it reads most",
            icon=":material/center_focus_strong:",
            key="attention_most",
            on_click=set_span,
            args=(look, key, busiest_range(weights, span[1] - span[0])),
            help="Moves the range to where the row that is shown has most weight.",
        )
        if st.button(
            "Layers × time",
            icon=":material/grid_on:",
            key="attention_map",
            help="Draws this check for every layer and every moment, under the attention.",
        ):
            look.cause = (key, edit.in_words, _causal_map(case, edit))
    return edit


def outcome(case: Case, key: str, edit: Edit) -> None:
    """What the reply does, as a whole and word by word."""
    name = f"{key}|{edit.other_key}"
    effect = cases.effect(name, edit.span, edit.site, edit.fill, edit.keep, case, edit.other)
    first, stop = (f"{lengths.TOKEN_SECONDS * token:.2f}" for token in edit.span)
    kept = "With nothing but" if edit.keep else "Without"
    st.markdown(f"**{kept} {first}–{stop} s:** {plain(effect.reply) or '(an empty reply)'}")
    st.markdown(verdict(effect))
    with st.expander("Word by word"):
        st.markdown(_table(case, effect))
    st.caption(
        f"Log-probability of the first reply, in nats, beside {len(effect.controls)} random ranges of the same "
        f"width (seed {cases.SEED}); greedy, at most {cases.LONGEST_REPLY} tokens."
    )


def set_span(look: AttentionState, key: str, span: Span) -> None:
    """Move the range, and its slider with it."""
    look.spans[key] = span
    st.session_state[_span_key(key)] = span


def set_site(look: AttentionState, site: Site) -> None:
    """Choose where in the model's depth is overwritten."""
    look.site = site
    change("attention_site", site)


def _span_key(key: str) -> str:
    return f"attention_span_{key}"


def _span(look: AttentionState, case: Case, key: str, weights: np.ndarray) -> Span:
    """The range of the slider, at first what is read most; it holds one token at least."""
    span = look.spans.get(key) or busiest_range(weights, FIRST_WIDTH)
    st.session_state.setdefault(_span_key(key), span)
    chosen: Any = st.slider(
        "Range of audio tokens (or drag in the picture)", 0, case.num_tokens, key=_span_key(key)
    )
    first, stop = chosen
    if first == stop:
        first = min(first, case.num_tokens - 1)
        stop = first + 1
    look.spans[key] = first, stop
    return first, stop


def _donor(look: AttentionState, load: ModelLoad) -> tuple[Case, str]:
    """Another sample, asked its own question. Raises Q2AError."""
    samples = {sample.name: sample for sample in read_gallery()}
    look.donor = kept(
        st.selectbox,
        "The other clip",
        list(samples),
        key="attention_donor",
        default=look.donor,
        format_func=lambda name: f"{samples[name].label} · {samples[name].seconds:.1f} s",
    )
    clip = clip_state.sample_clip(samples[look.donor])
    return cases.opened(clip, samples[look.donor].ask, load), clip.key


def _causal_map(case: Case, edit: Edit) -> CausalMap:
    places, spans = sites(case.model.config), windows(case.num_tokens, window_width(case))
    rows, bar = [], st.progress(0.0)
    rng = np.random.default_rng(cases.SEED)
    settings = {"fill": edit.fill, "other": edit.other, "keep": edit.keep}
    for row in causal_rows(case, places, spans, rng=rng, **settings):
        rows.append(row)
        bar.progress(len(rows) / len(places), text=f"overwritten: {places[len(rows) - 1].label}")
    bar.empty()
    return collect_rows(places, spans, rows)


def verdict(effect: Effect) -> str:
    """The numbers, and what they say."""
    change, whole, others = effect.change, effect.whole_change, effect.control_changes
    done = "brings back" if effect.keep else "changes the reply by"
    numbers = (
        f"This range {done} **{signed(change)} nats**; the whole clip is worth {signed(whole)}."
    )
    if not len(others):
        return numbers + " No other range of this width is left to compare with."
    spread = f"{signed(others.min())} to {signed(others.max())}"
    numbers += f" Random ranges: {signed(others.mean())} on average, {spread}."
    if abs(whole) < SLIGHT:
        return f"{numbers} **Even all of it hardly matters here**: the reply stands without it, or this fill keeps it."
    if abs(change) < SLIGHT:
        return f"{numbers} **It is not {'enough' if effect.keep else 'needed'}.**"
    if effect.beaten == len(others):
        return f"{numbers} **It does more than all {len(others)} random ranges.**"
    return f"{numbers} It does more than {effect.beaten} of {len(others)} random ranges: no sign that it is special."


def _table(case: Case, effect: Effect) -> str:
    rows = ["| word | before | after | nats |", "| :-- | --: | --: | --: |"]
    for word in case.words:
        before = float(effect.before[word.first : word.stop].sum())
        after = float(effect.after[word.first : word.stop].sum())
        shares = f"{np.exp(before):.1%} | {np.exp(after):.1%} | {signed(after - before)}"
        rows.append(f"| {plain(word.text)} | {shares} |")
    return "\n".join(rows)
