"""Stages: the same clip and question to the checkpoints of pre-training, fine-tuning and preferences."""

import streamlit as st

import frame
import stage_panel
import stage_tables
import state
from guarded import part

TEXT = frame.PageText(
    see=(
        "One question, one clip, and what each stage's checkpoint answers, a token from each in turn. Below: how far "
        "every layer's weights lie from those of another checkpoint, and the scores over the whole test set."
    ),
    attempt=(
        "Leave the question empty: the clip alone is voice chat, which pre-training never taught. Then type a "
        "question. Then look in the table whether what you saw holds for more than your clip."
    ),
    why=(
        "Pre-training teaches to hear and to answer typed questions; fine-tuning teaches both modes of dialogue and "
        "moves every part; preferences train projector and decoder alone, held to where they began."
    ),
    limits=(
        "Which weights a stage trains is our choice; the paper does not say. How far a weight moved is not what it "
        "does. One clip is an anecdote; where intervals overlap, the figures alone do not say which stage is better."
    ),
)

session = state.session()
settings = session.of(stage_panel.StagesSettings)
load = session.load()  # asked before anything is drawn: the first picture waits for no model
clip = frame.top("Stages", "What each stage of training changes, on one clip.", TEXT)

columns = stage_panel.checkpoint_columns()
part(stage_panel.replies, settings, columns, clip)
with st.container(key="stages_below"):
    if stage_tables.part_choice() == stage_tables.WEIGHTS:
        is_ready = bool(load and load.future.done())
        st.fragment(part)(stage_tables.weights, columns, ready=is_ready)
    else:
        part(stage_tables.table, columns)
