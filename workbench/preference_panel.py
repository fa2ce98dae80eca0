"""Preferences of one's own: two replies to choose between, and the list of choices."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

import clip_state
import model_state
import stage_panel
import stand
from plain import plain
from q2a_core.inspection import read_gallery
from q2a_core.lengths import beyond
from q2a_core.training.preference.own_pairs import (
    TRIES,
    OwnPair,
    clip_name,
    pairs_jsonl,
    receive_pairs,
    two_replies,
    zip_pairs,
)
from remembered import Remembered
from settings import kept

if TYPE_CHECKING:
    from q2a_core.inference import Reply

SHOWN_PAIRS = 6


@dataclass
class PreferenceSettings:
    """What the page Preferences keeps."""

    seed: int = 0
    drawn: "tuple[tuple[str, ...], tuple[Reply, Reply] | None] | None" = None
    """What was asked, and the two replies that came; None in their place if all were the same."""
    pairs: list[OwnPair] = field(default_factory=list)
    outcomes: Remembered[tuple[str, ...], stage_panel.Outcome] = field(default_factory=Remembered)


def question_for(clip: clip_state.PickedClip | None) -> str:
    """What is asked about the clip; "" is the clip alone."""
    suggestion = clip.sample.ask if clip and clip.sample else None
    return kept(
        st.text_input,
        "Question",
        key=f"preferences_question_{clip.key if clip else ''}",
        default=suggestion or "",
        placeholder="empty: the clip alone, voice chat",
    ).strip()


def choose(
    load: model_state.ModelLoad | None,
    source: str,
    settings: PreferenceSettings,
    clip: clip_state.PickedClip | None,
    question: str,
) -> None:
    """Draw two replies of the loaded checkpoint `source` and take the better one."""
    if clip and clip.waveform.seconds > clip_state.WINDOW_SECONDS:
        st.info(
            f"This clip lasts {beyond(clip.waveform.seconds, clip_state.WINDOW_SECONDS)}; DPO learns from clips "
            f"of at most {clip_state.WINDOW_SECONDS:g} s, uncut. Choose a shorter one.",
            icon=":material/timer:",
        )
        return
    temperature = kept(
        st.slider,
        "Temperature",
        key="preferences_temperature",
        default=1.0,
        min_value=0.2,
        max_value=2.0,
        step=0.1,
        help="How boldly the two replies are drawn; low, and both say the same.",
    )
    is_ready = bool(load and load.is_ready)
    what = (clip.key if clip else "", question, source)
    if st.button(
        "Two replies",
        icon=":material/casino:",
        type="primary",
        key="draw",
        disabled=not is_ready or not (clip or question),
    ):
        assert load is not None
        chat, waveform = load.future.result(), clip.waveform if clip else None
        text = question or None
        with st.spinner("Drawing replies until two differ…"):
            drawn = two_replies(chat, waveform, text, temperature=temperature, seed=settings.seed)
        settings.drawn, settings.seed = (what, drawn), settings.seed + TRIES
    if not is_ready:
        st.caption(":material/hourglass_top: the two replies wait for the model")
    if settings.drawn is None or settings.drawn[0] != what:
        st.caption(
            "Listen first. Then draw two replies and say which one is better; a dozen choices are enough."
        )
        return
    if settings.drawn[1] is None:
        st.info(f"All of {TRIES} draws said the same. Raise the temperature, or take another clip.")
        return
    _two(settings, clip, question, settings.drawn[1])


def _two(
    settings: PreferenceSettings,
    clip: clip_state.PickedClip | None,
    question: str,
    drawn: "tuple[Reply, Reply]",
) -> None:
    def take(better: int) -> None:
        if settings.drawn is None or settings.drawn[1] is not drawn:
            return  # clicked again before the page was drawn anew: this choice is made
        samples = clip.waveform.samples if clip else None
        pair = OwnPair(
            clip=None if samples is None else clip_name(samples),
            samples=samples,
            prompt=question or None,
            chosen=drawn[better].text,
            rejected=drawn[1 - better].text,
        )
        settings.pairs.append(pair)
        settings.drawn = None

    for number, column in enumerate(st.columns(2)):
        with column.container(border=True, height="stretch"):
            st.markdown(plain(drawn[number].text))
            st.caption(f"confidence {drawn[number].confidence:.0%}, seed {drawn[number].seed}")
            st.button(
                "I prefer this",
                key=f"prefer_{number}",
                on_click=take,
                args=(number,),
                width="stretch",
                disabled=stand.is_public() and len(settings.pairs) >= stand.MOST_PAIRS,
            )
    st.button("Neither", key="neither", type="tertiary", on_click=_drop, args=(settings,))


def _drop(settings: PreferenceSettings) -> None:
    settings.drawn = None


def collection(settings: PreferenceSettings) -> None:
    """The choices so far, to be taken along and brought back."""
    pairs = settings.pairs
    st.markdown(f"**Your pairs: {len(pairs)}**")
    for pair in reversed(pairs[-SHOWN_PAIRS:]):
        st.caption(
            f"{plain(_asked(pair))}: :material/thumb_up: “{plain(pair.chosen)}” "
            f":material/thumb_down: “{plain(pair.rejected)}”"
        )
    with st.container(horizontal=True, key="pair_buttons"):
        none = not pairs
        st.button(
            "Undo",
            icon=":material/undo:",
            key="undo",
            disabled=none,
            on_click=_undo,
            args=(settings,),
        )
        st.download_button(
            "JSONL",
            pairs_jsonl(pairs),
            "pairs.jsonl",
            "application/jsonl",
            key="pairs_jsonl",
            disabled=none,
            on_click="ignore",
            icon=":material/download:",
            help="The list alone; clips by name.",
        )
        st.download_button(
            "With clips",
            zip_pairs(pairs) if pairs else b"",
            "pairs.zip",
            "application/zip",
            key="pairs_zip",
            disabled=none,
            on_click="ignore",
            icon=":material/folder_zip:",
            help="Unpack it and run: q2a train dpo --pairs pairs.jsonl --sampled 0",
        )
    with st.popover("Upload pairs", icon=":material/upload:"):
        files = st.file_uploader(
            "A .jsonl, and its clips if they are not samples",
            accept_multiple_files=True,
            key="pairs_upload",
            max_upload_size=stand.upload_mb(),
        )
        if files and st.button("Add them", key="add_pairs"):
            settings.pairs += receive_pairs({f.name: f.getvalue() for f in files}, _sample_clips())
            if stand.is_public():
                del settings.pairs[stand.MOST_PAIRS :]
            st.rerun()


def _asked(pair: OwnPair) -> str:
    if isinstance(pair.prompt, str):
        return pair.prompt
    return "the clip alone" if pair.prompt is None else "a dialogue"


def _undo(settings: PreferenceSettings) -> None:
    if settings.pairs:  # clicked again before the page was drawn anew
        settings.pairs.pop()


@st.cache_data(max_entries=1, show_spinner=False)
def _sample_clips() -> dict:
    """Sounds of the shipped samples by the names that a list may use."""
    from q2a_core.audio import load_waveform

    known = {}
    for sample in read_gallery():
        samples = load_waveform(sample.path).samples
        known |= {sample.path.name: samples, clip_name(samples): samples}
    return known
