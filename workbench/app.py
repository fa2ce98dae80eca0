"""The workbench: routes only. Start it with `q2a workbench`, or `streamlit run app.py` in this folder."""

import streamlit as st

import state

st.set_page_config(page_title="q2a workbench", page_icon="👂", layout="wide")
st.navigation(
    [
        st.Page("app_pages/listen.py", title="Listen", default=True),
        st.Page("app_pages/attention.py", title="Attention"),
        st.Page("app_pages/modes.py", title="Modes"),
        st.Page("app_pages/stages.py", title="Stages"),
        st.Page("app_pages/train.py", title="Train"),
        st.Page("app_pages/preferences.py", title="Preferences"),
        st.Page("app_pages/scoreboard.py", title="Scoreboard"),
        st.Page("app_pages/kernel.py", title="Kernel"),
    ]
).run()
state.session().is_running = False
