"""The workbench: routes only. Start it with `q2a workbench`, or `streamlit run app.py` in this folder."""

import streamlit as st

st.set_page_config(page_title="q2a workbench", page_icon="👂", layout="wide")
st.navigation(
    [
        st.Page("app_pages/listen.py", title="Listen", default=True),
        st.Page("app_pages/modes.py", title="Modes"),
    ]
).run()
