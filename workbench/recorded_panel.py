"""What a public stand shows in the place of a run: the recorded log behind a shipped checkpoint."""

import streamlit as st

import curves
import run_panel
from plain import plain
from q2a_core.training.runs.class_run import STAGES
from q2a_core.training.runs.expected import ShippedRun, band, shipped_run
from q2a_core.training.runs.follow import names_in, samples_in, series
from settings import kept
from stand import NO_TRAINING


def no_training() -> None:
    """Why there is no button."""
    st.info(NO_TRAINING, icon=":material/storefront:")


def recorded_run(stage: str | None = None) -> None:
    """The curve and the replies of a shipped run: of this stage, or of one to be chosen."""
    runs = {name: run for name in STAGES if (run := shipped_run(name))}
    runs = {name: run for name, run in runs.items() if stage in (None, name)}
    if not runs:
        which = "No run" if stage is None else f"No {stage} run"
        st.caption(f":material/inventory_2: {which} is recorded here yet.")
        return
    if stage is None:
        names = list(runs)
        stage = kept(
            st.segmented_control,
            "Recorded run",
            names,
            key="recorded_run",
            default=names[-1],
            required=True,
        )
    if stage is not None:
        _draw(runs[stage])


def _draw(run: ShippedRun) -> None:
    st.badge("recorded", icon=":material/history:", color="gray")
    names = names_in(run.records) or ["loss"]
    name = kept(st.selectbox, "Curve", names, key="recorded_curve", default="loss")
    steps, values = series(run.records, name)
    if not len(steps):
        st.caption("This log holds no such curve.")
        return
    last = int(steps[-1])
    words = f"{name} of {run.title}, after step {last}: {values[-1]:.4g}"
    st.markdown(plain(f"{words}."))
    expected = band(run.records, name)
    curves.curve(steps, values, name=name, last=last, band=expected, key="recorded_view", alt=words)
    if name in run_panel.MEANINGS:
        st.caption(run_panel.MEANINGS[name])
    for sample in samples_in(run.records):
        run_panel.draw_sample(sample)
