"""The knobs of a run at class budget, and the list of runs."""

import streamlit as st

from guarded import told
from q2a_core.training.runs import background, folders
from q2a_core.training.runs.class_run import (
    BEFORE,
    STAGES,
    ClassRun,
    class_stage,
    how_to_make,
    starts_for,
)
from settings import change, kept, value_of

RATES = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 4e-4, 8e-4, 1e-3, 2e-3, 5e-3, 1e-2, 3e-2]
TEACHES = {
    "start": "Before the paper's stages: the encoder learns to spell and the decoder how answers go, apart from each "
    "other. From fresh weights, so a minute shows the curve's first fall and no useful model.",
    "pretrain": "Typed questions about clips: recognition, translation, sounds, music. All parts learn.",
    "sft": "Dialogues: the clip alone (voice chat) or with a typed question (audio analysis). Nothing says which.",
    "dpo": "Two replies, one preferred. Projector and decoder learn, the encoder hears as before; the start is also "
    "the frozen reference. Here the judge of the mini world ranks the model's own replies; on Preferences you do.",
}
RUN = "train_run"
"""Setting that names the run which is watched."""
BEGUN = "train_begun"
"""Setting that counts the runs that this tab started."""
SAMPLED = 40
"""Pairs that a DPO run from this page samples first."""


def begin() -> None:
    """The knobs and the button that starts a run."""
    class_run = _knobs()
    if class_run:
        _start(class_run)


def _knobs() -> ClassRun | None:
    """The knobs that matter; None where the stage has nothing to begin from."""
    stage = kept(
        st.segmented_control,
        "Stage",
        list(STAGES),
        key="train_stage",
        default="sft",
        required=True,
    )
    st.caption(TEACHES[stage])
    usual = class_stage(stage)
    starts = starts_for(stage)
    if not starts:
        _nothing_to_begin_from(stage)
        return None

    def knob(widget, label: str, name: str, default, *choices, **options):
        key = f"train_{stage}_{name}"
        return kept(widget, label, *choices, key=key, default=default, **options)

    names, nearest = list(starts), min(RATES, key=lambda rate: abs(rate - usual.learning_rate))
    start = knob(st.selectbox, "Begin from", "start", names[0], names)
    steps = knob(st.slider, "Steps", "steps", usual.steps, min_value=10, max_value=600, step=10)
    rate = knob(
        st.select_slider,
        "Peak learning rate",
        "rate",
        nearest,
        RATES,
        format_func=lambda rate: f"{rate:g}",
        help="Too small and nothing moves in a minute; too large and the loss jumps up or ends as no number.",
    )
    unit = "Pairs" if stage == "dpo" else "Dialogues"
    size = {"min_value": 4, "max_value": 48, "step": 4}
    dialogues = knob(st.slider, f"{unit} in a step", "dialogues", usual.step_size, **size)
    seed = knob(st.number_input, "Seed", "seed", 0, min_value=0, max_value=9999, step=1)
    return ClassRun(
        stage=stage,
        start=starts[start],
        steps=steps,
        learning_rate=rate,
        dialogues=dialogues,
        seed=int(seed),
        sampled=SAMPLED if stage == "dpo" else 0,
    )


def _nothing_to_begin_from(stage: str) -> None:
    before = BEFORE[stage][0]
    st.info(
        f"No {before} checkpoint ships and none of your runs made one. Make one with"
        f" `{how_to_make(before)}`, or run that stage here first.",
        icon=":material/inventory_2:",
    )


def _start(class_run: ClassRun) -> None:
    """A name, the button, and the same as a command."""
    free, begun = folders.free_name(class_run.stage), value_of(BEGUN, 0)
    # after a start the field is another one, since what was typed into it is taken
    key = f"run_name_{free}_{begun}"
    name = kept(st.text_input, "Name of the run", key=key, default=free)
    if st.button("Start", icon=":material/play_arrow:", type="primary", key="start"):
        with told():
            background.launch(folders.run_folder(name.strip()), class_run.options())
            change(RUN, name.strip())
            change(BEGUN, begun + 1)
            st.rerun()
        return
    with st.expander("The same in a terminal"):
        st.code(class_run.command(name), language=None, wrap_lines=True)


def run_choice() -> str | None:
    """Any of the user's runs, the last one first; None if there is none yet."""
    names = folders.known_runs()
    if not names:
        return None
    return kept(st.selectbox, "Run", names, key=RUN, default=names[0])


def no_run() -> None:
    """What will be here once there is a run."""
    with st.container(border=True, height=320, vertical_alignment="center"):
        st.caption(
            ":material/show_chart: Once a run is going you see its loss here, drawn over the band in which our own "
            "run lay; what it says to the same four held-out clips every 30 steps; and the "
            "time that is left. Close the tab if you like: the run goes on, and you find it here again."
        )
