"""DPO on a person's own pairs, in the background, and what it made of them: margins, drift, replies."""

from pathlib import Path

import streamlit as st

import clip_state
import curves
import model_state
import run_panel
import stage_panel
import state
from plain import plain
from preference_panel import PreferenceSettings
from q2a_core import paths
from q2a_core.training.preference.own_pairs import PAIRS_FILE, write_pairs
from q2a_core.training.preference.pair_file import read_pairs
from q2a_core.training.preference.pair_report import PairReport, report_pairs
from q2a_core.training.runs import background, folders, presence
from q2a_core.training.runs.class_run import ClassRun, is_trainable, stage_of
from q2a_core.training.runs.follow import Follower, series
from q2a_core.training.runs.layout import CHECKPOINT, CONFIG_FILE, PAIRS
from settings import change, kept

FAR = 10.0
"""Nats per reply at which the gauge is full."""
RUN = "preferences_run"
"""Setting that names the run which is watched."""
RATES = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4]


def begin(source: str, settings: PreferenceSettings) -> None:
    """The knobs, and the button that starts DPO on the pairs from the checkpoint `source`."""
    directory = paths.shipped_checkpoints().get(source) or Path(source).expanduser()
    beta = kept(
        st.slider,
        "Beta",
        key="preferences_beta",
        default=0.1,
        min_value=0.02,
        max_value=1.0,
        step=0.02,
        help="How strongly the reference holds the model: the price of every nat of departure.",
    )
    with st.container(horizontal=True, key="dpo_knobs"):
        size = {"min_value": 10, "max_value": 200, "step": 10}
        steps = kept(st.slider, "Steps", key="preferences_steps", default=40, **size)
        rate = kept(
            st.select_slider,
            "Peak learning rate",
            RATES,
            key="preferences_rate",
            default=5e-5,
            format_func="{:g}".format,
        )
        sampled = kept(
            st.number_input,
            "Pairs from the judge",
            key="preferences_sampled",
            default=0,
            min_value=0,
            max_value=200,
            step=20,
            help="Sampled from the checkpoint's own replies on training clips and added to yours; takes its time.",
        )
    count = len(settings.pairs) + int(sampled)
    if not source or not is_trainable(directory):
        st.info("Only checkpoints of the mini world can be trained here; choose one on the left.")
    elif st.button(
        f"Train on {count} pairs",
        icon=":material/play_arrow:",
        type="primary",
        key="train_dpo",
        disabled=not count,
    ):
        run = folders.new_folder("dpo")
        own = write_pairs(settings.pairs, run / PAIRS) if settings.pairs else None
        class_run = ClassRun(
            stage="dpo",
            start=source if source in paths.shipped_checkpoints() else str(directory),
            steps=steps,
            learning_rate=rate,
            dialogues=8,
            beta=beta,
            pairs=own,
            sampled=int(sampled),
        )
        background.launch(run, class_run.options())
        change(RUN, run.name)
        st.rerun()


def follow(session: state.Session) -> str:
    """The run that was started last, or any other on preferences; "" if there is none."""
    runs = [name for name in folders.known_runs() if _is_preference_run(name)]
    if not runs:
        return ""
    name = kept(st.selectbox, "Run", runs, key=RUN, default=runs[0])
    run_panel.watch(session, name, beside=_draw_drift)
    return name


def _is_preference_run(name: str) -> bool:
    run = folders.run_folder(name)
    stage = presence.read_note(run / CONFIG_FILE) or {}
    return stage.get("name") == "dpo" or (run / PAIRS).is_dir()


def _draw_drift(follower: Follower) -> None:
    _, drift = series(follower.records, "kl")
    if len(drift):
        gauge(float(drift[-1]))


def compare(
    session: state.Session,
    settings: PreferenceSettings,
    name: str,
    clip: clip_state.PickedClip | None,
    question: str,
    *,
    ready: bool,
) -> None:
    """Before and after run `name`: margins of its pairs, replies to the clip above; needs torch to be `ready`."""
    run = folders.run_folder(name)
    follower = session.of(run_panel.WatchSettings).follower(run)
    after = run / CHECKPOINT
    start = follower.stage.get("start")
    status = follower.refresh()
    if status.is_active or status.is_leaving or not after.is_dir() or not start:
        st.caption("Margins and replies before and after stand here once the run has ended.")
        return
    if not ready:
        st.caption(":material/hourglass_top: waits for the model to be loaded")
        return
    known = paths.shipped_checkpoints()
    if (run / PAIRS).is_dir():
        stamps = model_state.stamp(start, Path(start)), model_state.stamp("", after)
        report = _report(start, str(after), str(run / PAIRS), stamps)
        _draw_margins(report, float(follower.stage.get("beta", 0.1)), name)
    columns = {start: known.get(start, Path(start)), f"run {name}": after}
    _both_replies(settings, columns, clip, question)


def compare_shipped(
    settings: PreferenceSettings, clip: clip_state.PickedClip | None, question: str
) -> None:
    """The replies before and after the shipped run on preferences, if it ships."""
    known = paths.shipped_checkpoints()
    for after, directory in known.items():
        before = (model_state.about(after).get("start") or {}).get("name")
        if stage_of(directory) == "dpo" and before in known:
            st.header("3 · Compare", anchor=False)
            columns = {before: known[before], after: directory}
            _both_replies(settings, columns, clip, question)
            return


@st.fragment
def _draw_margins(report: PairReport, trained: float, run: str) -> None:
    """How far every pair's chosen reply gained on the rejected one, at any beta; first at the run's own."""
    key = f"margin_beta_{run}"
    beta = st.slider("Beta of the margins", 0.02, 1.0, trained, 0.02, key=key)
    values = report.margins(beta)
    gained, count = int((values > 0).sum()), len(values)
    st.markdown(
        f"The chosen reply gained on the rejected one in **{gained} of {count}** of your pairs; mean margin "
        f"{values.mean():.3f}, loss {report.loss(beta):.3f} (log 2 = 0.693 before). It is the likelier of the two "
        f"in {report.preferred_after} pairs; before, it was in {report.preferred_before}."
    )
    curves.margins(values, beta=beta, key="margins")


def _both_replies(
    settings: PreferenceSettings,
    columns: dict[str, Path],
    clip: clip_state.PickedClip | None,
    question: str,
) -> None:
    asked = st.button(
        "Ask both about this clip",
        icon=":material/forum:",
        key="ask_both",
        disabled=not (clip or question),
    )
    slots = {}
    keys = {
        n: (clip.key if clip else "", question, model_state.stamp(n, columns[n])) for n in columns
    }
    for (name, heading), column in zip(
        zip(columns, ("Before", "After"), strict=True), st.columns(2), strict=True
    ):
        with column.container(border=True):
            st.markdown(f"**{heading}** · {plain(Path(name).name)}")
            slots[name] = st.empty()
        with slots[name].container():
            stage_panel.draw_outcome(settings.outcomes.get(keys[name]))
    if asked:
        for name, outcome in stage_panel.ask_together(columns, slots, clip, question).items():
            settings.outcomes[keys[name]] = outcome


@st.cache_data(max_entries=8, show_spinner="Judging your pairs with both checkpoints…")
def _report(start: str, after: str, pairs: str, stamps: tuple[str, str]) -> PairReport:
    from q2a_core.checkpoint import open_checkpoint

    own = read_pairs(Path(pairs) / PAIRS_FILE)
    return report_pairs(open_checkpoint(start), open_checkpoint(after), own)


def gauge(kl: float) -> None:
    """How far the model went from its reference."""
    if kl < -1:
        words = "below 0: these replies, the rejected ones too, became likelier; only an estimate"
    elif kl < 1:
        words = "close to the reference"
    else:
        words = "drifting" if kl < 5 else "far from the reference"
    share = min(max(kl / FAR, 0.0), 1.0)
    st.progress(
        share, text=f"Drift: KL {kl:.2f} nats per reply, {words} (the bar is full at {FAR:g})"
    )
