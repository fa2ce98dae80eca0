"""Preferences: choose between two replies, train on the choices for a minute, and see what became of it."""

import streamlit as st

import frame
import preference_panel
import preference_training
import recorded_panel
import stand
import state
from guarded import part

TEXT = frame.PageText(
    see=(
        "Two replies of the checkpoint on the left, drawn at random. Your choices train it by DPO; the loss begins at "
        "log 2 = 0.693, margins say how far the chosen replies gained, the gauge how far the model went."
    ),
    attempt=(
        "Prefer the shorter reply a dozen times, whatever is true, and train. Ask about a clip that you did not rate. "
        "Then the same with beta 0.02 and with beta 1."
    ),
    why=(
        "DPO raises a chosen reply against a rejected one by more than the frozen start does. Beta prices every nat "
        "of departure: a small one lets the model run, a large one holds it."
    ),
    limits=(
        "A dozen pairs teach a habit, not a truth: a margin says that the pairs were learned, and the drift what else "
        "moved. It is estimated on these replies, without bias only at temperature 1."
    ),
)

session = state.session()
settings = session.of(preference_panel.PreferenceSettings)
load = session.load()  # asked before anything is drawn: the first picture waits for no model
clip = frame.top("Preferences", "Your own choices, and what DPO makes of them in a minute.", TEXT)

left, right = st.columns(2, gap="large")
with left, st.container(key="preferences_choose"):
    st.header("1 · Choose", anchor=False)
    question = preference_panel.question_for(clip)
    part(preference_panel.choose, load, session.source, settings, clip, question)
    part(preference_panel.collection, settings)
with right:
    st.header("2 · Train", anchor=False)
    if stand.is_public():
        recorded_panel.no_training()
        st.fragment(part)(recorded_panel.recorded_run, "dpo")
        run = None
    else:
        st.fragment(part)(preference_training.begin, session.source, settings)
        run = part(preference_training.follow, session)
if run:
    st.header("3 · Compare", anchor=False)
    is_ready = bool(load and load.future.done())
    part(preference_training.compare, session, settings, run, clip, question, ready=is_ready)
elif stand.is_public():
    part(preference_training.compare_shipped, settings, clip, question)
