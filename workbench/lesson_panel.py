"""The knobs of a run at class budget, and the list of runs."""

from dataclasses import dataclass, field

import streamlit as st

import state
from panels import plain
from q2a_core.training import background
from q2a_core.training.lesson import BEFORE, STAGES, Lesson, class_stage, how_to_make, starts_for
from remembered import remembered

RATES = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 4e-4, 8e-4, 1e-3, 2e-3, 5e-3, 1e-2, 3e-2]
TEACHES = {
    "start": "Before the paper's stages: the encoder learns to spell and the decoder how answers go, apart from each "
    "other. From fresh weights, so a minute shows the curve's first fall and no useful model.",
    "pretrain": "Typed questions about clips: recognition, translation, sounds, music. All parts learn.",
    "sft": "Dialogues: the clip alone (voice chat) or with a typed question (audio analysis). Nothing says which.",
    "dpo": "Two replies, one preferred. Projector and decoder learn, the encoder hears as before; the start is also "
    "the frozen reference. Here the judge of the mini world ranks the model's own replies; on Preferences you do.",
}
SAMPLED = 40
"""Pairs that a DPO run from this page samples first."""


@dataclass
class Knobs:
    """What is set for one stage."""

    start: str = ""
    steps: int = 120
    learning_rate: float = 4e-4
    dialogues: int = 16
    seed: int = 0


@dataclass
class TrainSettings:
    """What the page Train keeps."""

    stage: str = "sft"
    knobs: dict[str, Knobs] = field(default_factory=dict)
    watching: str = ""


def begin(settings: TrainSettings) -> None:
    """The knobs and the button that starts a run."""
    lesson = _knobs(settings)
    if lesson:
        _start(settings, lesson)


def _knobs(settings: TrainSettings) -> Lesson | None:
    """The knobs that matter; None where the stage has nothing to begin from."""
    stage = remembered(
        st.segmented_control, "Stage", settings, "stage", options=list(STAGES), required=True
    )
    st.caption(TEACHES[stage])
    knobs = settings.knobs.setdefault(stage, _class_knobs(stage))
    starts = starts_for(stage)
    if not starts:
        _nothing_to_begin_from(stage)
        return None

    def knob(widget, label: str, name: str, **options):
        return remembered(widget, label, knobs, name, key=f"{stage}.{name}", **options)

    start = knob(st.selectbox, "Begin from", "start", options=list(starts))
    knob(st.slider, "Steps", "steps", min_value=10, max_value=600, step=10)
    knob(
        st.select_slider,
        "Peak learning rate",
        "learning_rate",
        options=RATES,
        format_func=lambda rate: f"{rate:g}",
        help="Too small and nothing moves in a minute; too large and the loss jumps up or ends as no number.",
    )
    unit = "Pairs" if stage == "dpo" else "Dialogues"
    knob(st.slider, f"{unit} in a step", "dialogues", min_value=4, max_value=48, step=4)
    knob(st.number_input, "Seed", "seed", min_value=0, max_value=9999, step=1)
    return Lesson(
        stage=stage,
        start=starts[start],
        steps=knobs.steps,
        learning_rate=knobs.learning_rate,
        dialogues=knobs.dialogues,
        seed=int(knobs.seed),
        sampled=SAMPLED if stage == "dpo" else 0,
    )


def _class_knobs(stage: str) -> Knobs:
    small = class_stage(stage)
    nearest = min(RATES, key=lambda rate: abs(rate - small.learning_rate))
    return Knobs(steps=small.steps, learning_rate=nearest, dialogues=small.step_size)


def _nothing_to_begin_from(stage: str) -> None:
    before = BEFORE[stage][0]
    st.info(
        f"No {before} checkpoint ships and none of your runs made one. Make one with"
        f" `{how_to_make(before)}`, or run that stage here first.",
        icon=":material/inventory_2:",
    )


def _start(settings: TrainSettings, lesson: Lesson) -> None:
    """A name, the button, and the same as a command."""
    free = background.free_name(lesson.stage)
    name = st.text_input("Name of the run", value=free, key=f"run_name_{free}")
    if st.button("Start", icon=":material/play_arrow:", type="primary", key="start"):
        try:
            background.launch(background.run_folder(name.strip()), lesson.options())
        except Exception as error:
            st.error(plain(state.explain(error)))
            return
        watch_now(settings, name.strip())
        st.rerun()
    with st.expander("The same in a terminal"):
        st.code(lesson.command(name), language="shell", wrap_lines=True)


def watch_now(settings: TrainSettings, name: str) -> None:
    """Show this run from now on."""
    settings.watching = name
    st.session_state.pop("TrainSettings.watching", None)


def run_choice(settings: TrainSettings) -> str | None:
    """Any of the user's runs, the last one first; None if there is none yet."""
    names = background.known_runs()
    if not names:
        return None
    return remembered(st.selectbox, "Run", settings, "watching", options=names)


def no_run() -> None:
    """What will be here once there is a run."""
    with st.container(border=True, height=320, vertical_alignment="center"):
        st.caption(
            ":material/show_chart: Once a run is going you see its loss here, drawn over the band in which the run "
            "behind the shipped checkpoint lay; what it says to the same four held-out clips every 30 steps; and the "
            "time that is left. Close the tab if you like: the run goes on, and you find it here again."
        )
