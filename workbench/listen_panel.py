"""Below the player on the page Listen: what a clip of any length costs, and the front end as an experiment."""

import json

import streamlit as st

import clip_state
import model_state
import panels
import stand
import state
from clip_state import PickedClip
from guarded import told
from q2a_core import lengths
from q2a_core.inspection.budget import Dimensions, token_budget
from q2a_core.inspection.front_end import (
    HOP_CHOICES,
    MAX_SECONDS,
    N_FFT_CHOICES,
    NUM_MELS_CHOICES,
    MelSettings,
    Resynthesis,
)
from q2a_core.inspection.player import player_data
from q2a_core.inspection.wording import counted
from settings import change, kept
from state import Session

BUDGET, LAB = "Token budget", "Front-end lab"
ICONS = {BUDGET: ":material/calculate:", LAB: ":material/science:"}
KNOBS = {"lab_n_fft": "n_fft", "lab_hop": "hop_length", "lab_mels": "num_mels"}
"""Widget keys and the field of `MelSettings` that each sets."""


def closer(session: Session, clip: PickedClip | None) -> None:
    """One of two closer looks; only the one that is chosen is computed."""
    choice = kept(
        st.segmented_control,
        "Look closer",
        [BUDGET, LAB],
        key="closer",
        default=BUDGET,
        required=True,
        format_func=lambda name: f"{ICONS[name]} {name}",
        label_visibility="collapsed",
    )
    with st.container(key="closer_panel"), told():
        if choice == BUDGET:
            budget(session, clip)
        else:
            lab(clip)


def budget(session: Session, clip: PickedClip | None) -> None:
    """The counts for this clip beside those for any length."""
    dimensions = state.dimensions(session)
    if dimensions is None:
        st.caption("The budget is the checkpoint's own: it appears once its config can be read.")
        return
    seconds = kept(
        st.slider,
        "A clip of any length, in seconds",
        key="budget_seconds",
        default=30.0,
        min_value=0.05,
        max_value=stand.CLIP_SECONDS[False],
        step=0.01,
    )
    asked = {"this clip": len(clip.waveform.samples)} if clip else {}
    asked[f"{seconds:.2f} s"] = round(seconds * lengths.SAMPLE_RATE)
    table, words = st.columns([3, 2], gap="large", vertical_alignment="center")
    table.markdown(budget_table(asked, dimensions))
    words.markdown(
        budget_words(dimensions, model_state.about(session.source).get("trained_seconds"))
    )


def budget_words(dimensions: Dimensions, trained_seconds: object) -> str:
    """What stands behind the counts; `trained_seconds` is what the checkpoint says of itself, if it does."""
    encoder, decoder = dimensions.config.encoder, dimensions.config.decoder
    trained = isinstance(trained_seconds, int | float)
    return (
        f"One position keeps a key and a value in {decoder.num_layers} layers and {decoder.num_kv_heads} heads of "
        f"{decoder.head_dim}, as {dimensions.dtype}: **{_bytes(dimensions.kv_bytes(1))}**. The decoder is meant for "
        f"{decoder.max_positions:,} positions, text and reply included.\n\n"
        f"The encoder hears {encoder.max_seconds:g} s at once; a longer clip is cut into pieces on request."
        + (
            f" This checkpoint was trained on clips of up to {trained_seconds:g} s."
            if trained
            else ""
        )
        + "\n\nTransformers pads every piece to the whole window. Here only the frames that exist are computed, with "
        "the same result."
    )


def budget_table(asked: dict[str, int], dimensions: Dimensions) -> str:
    """Markdown with a column of counts for each length in samples."""
    budgets = [token_budget(samples, dimensions) for samples in asked.values()]
    rows = {
        "seconds": (f"{b.seconds:.2f}" for b in budgets),
        f"samples, {lengths.SAMPLE_RATE:,} a second": (f"{b.samples:,}" for b in budgets),
        f"mel frames, {lengths.MEL_FRAME_RATE} a second": (f"{b.mel_frames:,}" for b in budgets),
        f"encoder frames, {lengths.ENCODER_FRAME_RATE} a second": (
            f"{b.encoder_frames:,}" for b in budgets
        ),
        "encoder frames if padded to the window": (f"{b.padded_frames:,}" for b in budgets),
        f"audio tokens, {lengths.AUDIO_TOKEN_RATE} a second": (
            f"**{b.audio_tokens:,}**" for b in budgets
        ),
        "placeholders in the prompt": (f"{b.audio_tokens:,}" for b in budgets),
        "keys and values in memory": (_bytes(b.kv_bytes) for b in budgets),
        "pieces": (f"{b.windows}" for b in budgets),
    }
    head = "| | " + " | ".join(asked) + " |"
    rule = "|:--|" + "--:|" * len(budgets)
    return "\n".join(
        [head, rule, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())]
    )


def _bytes(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def lab(clip: PickedClip | None) -> None:
    """Three knobs of the front end, and the sound that is left of the clip."""
    if clip is None:
        st.caption("Once there is a clip you hear here what other mel settings leave of it.")
        return
    settings = MelSettings(**_knobs())
    found, usual = (clip_state.resynthesis(clip, each) for each in (settings, MelSettings()))
    st.markdown(lab_words(found, usual))
    if clip.waveform.seconds > MAX_SECONDS:
        st.caption(f"The experiment takes the first {MAX_SECONDS:g} s of the clip.")
    name = f"{clip.waveform.name}, resynthesised"
    data = json.dumps(player_data(found.view, found.samples, name=name)).encode()
    panels.mount_player(data=data, key="lab_player", on_token_change=lambda: None)


def _knobs() -> dict[str, int]:
    """The three sliders and the way back to the model's settings."""
    window, hop, mels, reset = st.columns([3, 3, 3, 2], vertical_alignment="bottom")
    usual = MelSettings()
    with window:
        n_fft = _slider("Window (n_fft)", N_FFT_CHOICES, "lab_n_fft", usual.n_fft)
    with hop:
        hop_length = _slider("Hop", HOP_CHOICES, "lab_hop", usual.hop_length)
    with mels:
        num_mels = kept(
            st.select_slider, "Mel bands", NUM_MELS_CHOICES, key="lab_mels", default=usual.num_mels
        )
    reset.button("As the model", icon=":material/restart_alt:", key="lab_reset", on_click=_reset)
    return {"n_fft": n_fft, "hop_length": hop_length, "num_mels": num_mels}


def _slider(label: str, choices: tuple[int, ...], key: str, default: int) -> int:
    def words(samples: int) -> str:
        return f"{samples} samples, {1000 * samples / lengths.SAMPLE_RATE:g} ms"

    return kept(st.select_slider, label, choices, key=key, default=default, format_func=words)


def _reset() -> None:
    for key, field in KNOBS.items():
        change(key, getattr(MelSettings(), field))


def lab_words(found: Resynthesis, usual: Resynthesis) -> str:
    """What the settings do, in words."""
    bands, frames = found.view.mel.shape
    silent = (
        f" {found.silent_bands} of the bands lie between two bins of so short a window and hear nothing."
        if found.silent_bands
        else ""
    )
    return (
        f"**{counted(frames, 'frame')} of {bands} bands, {counted(found.view.audio_tokens, 'audio token')}** "
        f"(the model: {usual.view.mel.shape[1]:,} of {usual.view.mel.shape[0]}, {usual.view.audio_tokens})."
        f"{silent} To the model's ears the resynthesis is {found.distance:.1f} dB from the clip; with its own "
        f"settings {usual.distance:.1f} dB."
    )
