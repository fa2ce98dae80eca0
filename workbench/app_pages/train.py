"""Train: a stage at class budget in a process of its own, watched while it learns."""

import math

import streamlit as st

import class_run_panel
import frame
import recorded_panel
import run_panel
import stand
import state
from guarded import part
from q2a_core.presets import MINI_VOCAB_SIZE

TEXT = frame.PageText(
    see=(
        "Each point is the mean over the last two steps, the line the mean of a point and the two on either side. "
        "The grey band is where another run lay: ours with the same settings, or the one behind the shipped "
        "checkpoint. The replies are greedy, to clips in voices that training never heard."
    ),
    attempt=(
        "Start SFT, stop it half way, resume it: the curve goes on as if nothing had happened, because weights, "
        "optimizer, random numbers and the place in the data were saved together. Then the same with a learning "
        "rate of 0.01. Then pretrain with 4 dialogues a step: how rough is the curve now?"
    ),
    why=(
        "The loss is what a token of the right reply costs, in nats; "
        f"a guess among all {MINI_VOCAB_SIZE:,} tokens costs {math.log(MINI_VOCAB_SIZE):.1f}. "
        "The first steps fall fast, because how answers are worded is learned before what is in the clip."
    ),
    limits=(
        "A minute is about a thousand clips; the best checkpoint that ships heard over two million. A single run's "
        "band shows its own scatter, not that of other seeds. A lower loss is no proof of a better model: look at "
        "the replies, and at the whole test set on Stages."
    ),
)

session = state.session()
lead = "A stage in a minute or two, by the same code as `q2a train`, in its own process."
frame.top("Train", lead, TEXT, player=False)

left, right = st.columns([2, 3], gap="large")
with left, st.container(key="train_knobs"):
    st.fragment(part)(recorded_panel.no_training if stand.is_public() else class_run_panel.begin)
with right:
    name = None if stand.is_public() else part(class_run_panel.run_choice)
    if stand.is_public():
        st.fragment(part)(recorded_panel.recorded_run)
    elif name:
        part(run_panel.watch, session, name)
    else:
        class_run_panel.no_run()
