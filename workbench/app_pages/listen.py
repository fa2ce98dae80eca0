"""Listen: one clip, what the model receives of it, and what it answers."""

import streamlit as st

import frame
import listen_panel
import state

TEXT = frame.PageText(
    see=(
        "The clip on one time axis: its waveform, the log-mel that the encoder reads, and the audio tokens that reach "
        "the decoder. The playhead shows what leaves the loudspeaker now."
    ),
    attempt=(
        "Click an audio token and hear its three widths (keys 1, 2, 3); let the stride repeat. Find the shortest piece "
        "in which you know the sound again. Then ask about the clip."
    ),
    why=(
        "Two convolutions and a pool make one token of four mel frames, 40 ms. It reads seven, 85 ms with their "
        "windows. The encoder's attention then lets it know of every other moment of the clip, before and after."
    ),
    limits=(
        "A token is a vector, not a sound: you hear what went in, not what the model made of it. The mini model was "
        "trained on synthetic voices and sounds; its answers can be wrong where yours would not be."
    ),
)

clip = frame.top(
    "Listen",
    "One clip, what the model receives of it, and what it answers.",
    TEXT,
    beside=True,
)
st.fragment(listen_panel.closer)(state.session(), clip)
