"""Kernel: flash attention tile by tile on the current clip, and a bug to find in it."""

import streamlit as st

import frame
import kernel_panel
import state

TEXT = frame.PageText(
    see=(
        "One head of the audio encoder on this clip. Each row of the map is a query, a 20 ms frame that asks; each "
        "column is a key. The kernel never holds the whole map: tiles of keys pass a tile of queries, and only a "
        "maximum, a sum and an accumulator are kept for each row."
    ),
    attempt=(
        "Walk through a row of tiles and watch a maximum grow: the old sum shrinks by the factor beside it. Pad the "
        "clip beside a longer one: whole tiles are skipped and the answer stays. Then find the bug."
    ),
    why=(
        "A softmax needs the largest score and the sum of all exponentials. Both can be put right afterwards: when a "
        "larger score turns up, what was added before is multiplied by exp(old - new). So nothing quadratic in the "
        "clip's length is ever written to memory."
    ),
    limits=(
        "These are the same steps as in the GPU kernel, in plain fp32 and one head at a time; speed is measured "
        "elsewhere (page Scoreboard, Speed). The kernel may take its tiles in parallel, and its tile sizes are chosen "
        "by the GPU's memory, not by what is nice to look at."
    ),
)

session = state.session()
is_painted = session.has_painted  # before the frame's status line says so: torch waits for the page
clip = frame.top(
    "Kernel", "Flash attention step by step on this clip's encoder, and a bug to find.", TEXT
)
with st.container(key="kernel_view"):
    st.fragment(kernel_panel.kernel)(session, clip, may_load=is_painted)
