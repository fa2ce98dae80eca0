"""One run in the background, watched: its state, its curve over the expected band, its samples, Stop and Resume."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

import curves
import state
from guarded import part, told
from plain import plain
from q2a_core.lengths import SAMPLE_RATE
from q2a_core.training.runs import background, folders
from q2a_core.training.runs.expected import (
    ShippedRun,
    band,
    beside_band,
    differences,
    expected_run,
)
from q2a_core.training.runs.follow import (
    DOING_WORDS,
    LOOK_EVERY,
    STATE_WORDS,
    Follower,
    RunStatus,
    Samples,
    names_in,
    samples_in,
    series,
)
from settings import kept

STOP_PATIENCE, STOP_EVERY = 1.0, 0.02
"""Seconds for which a look at a run that is to stop waits for its end, and between two looks meanwhile."""
ICONS = {
    "none": ":material/radio_button_unchecked:",
    "preparing": ":material/hourglass_top:",
    "running": ":material/directions_run:",
    "stopping": ":material/pan_tool:",
    "stopped": ":material/pause_circle:",
    "finished": ":material/check_circle:",
    "died": ":material/error:",
}
WORDS = STATE_WORDS | {"stopped": "stopped; Resume goes on where it stood"}
MEANINGS = {
    "loss": "Nats per token that the reply costs, or the preference loss (log 2 = 0.693 at the start).",
    "spelling": "CTC loss of the encoder's frames, nats per letter: how well it hears words.",
    "accuracy": "Share of pairs whose chosen reply gained more than the rejected one.",
    "margin": "Reward of the chosen reply over the rejected one, mean over the pairs.",
    "chosen": "Log-probability of the chosen replies. It may well fall: only the distance counts.",
    "rejected": "Log-probability of the rejected replies.",
    "kl": "Drift from the reference in nats per reply.",
}


@dataclass
class WatchSettings:
    """What a tab keeps of the runs that it watches."""

    followers: dict[str, Follower] = field(default_factory=dict)

    def follower(self, run: Path) -> Follower:
        return self.followers.setdefault(str(run), Follower(run))


def watch(
    session: state.Session, name: str, *, beside: Callable[[Follower], None] | None = None
) -> None:
    """A run by its name, drawn again twice a second while a process works on it; `beside` draws more of it."""
    settings = session.of(WatchSettings)
    run = folders.run_folder(name)
    status = settings.follower(run).refresh()
    goes_on = status.is_active or status.is_leaving
    st.fragment(_watch, run_every=LOOK_EVERY if goes_on else None)(settings, run, status, beside)


def _watch(
    settings: WatchSettings,
    run: Path,
    before: RunStatus,
    beside: Callable[[Follower], None] | None,
) -> None:
    follower = settings.follower(run)
    status = follower.refresh()
    if (status.is_active, status.is_leaving) != (before.is_active, before.is_leaving):
        st.rerun()
    _draw_state(run, status)
    if status.state == "stopping" and _ends_soon(follower):
        st.rerun()
    if beside:
        beside(follower)
    shipped = expected_run(follower.stage.get("name", "")) if follower.stage else None
    if follower.stage:
        _draw_curve(follower, status, shipped)
        _draw_samples(follower)


def _ends_soon(follower: Follower) -> bool:
    """Wait a moment for a run that was asked to stop: whether it ended."""
    end = time.monotonic() + STOP_PATIENCE
    while time.monotonic() < end:
        if not follower.refresh().is_active:
            return True
        time.sleep(STOP_EVERY)
    return False


def _draw_state(run: Path, status: RunStatus) -> None:
    icon, words = ICONS[status.state], WORDS[status.state]
    with st.container(horizontal=True, vertical_alignment="center", key="run_state"):
        st.markdown(f"{icon} **{plain(run.name)}** {words}", width="stretch")
        if status.is_active:
            st.button(
                "Stop",
                icon=":material/stop:",
                key="stop",
                type="primary",
                disabled=status.state == "stopping",
                help="Stops between two micro-batches and saves; before the first step it ends at once.",
                on_click=part,
                args=(background.stop, run),
            )
        elif status.state in ("stopped", "died") and st.button(
            "Resume", icon=":material/play_arrow:", key="resume", type="primary"
        ):
            with told():
                background.resume(run)
                st.rerun()
    if status.state == "died":
        st.error(plain(status.error))
    share, text = _progress(status)
    st.progress(share, text=text)


def _progress(status: RunStatus) -> tuple[float, str]:
    if status.state == "preparing":
        if status.total:
            doing = DOING_WORDS.get(status.doing, "working")
            return status.done / status.total, f"{doing}: {status.done} of {status.total}"
        return 0.0, "loading; new phrases are spoken once and then kept"
    if not status.steps:
        return 0.0, "before its first step"
    left = "" if status.seconds_left is None else f" · about {duration(status.seconds_left)} left"
    return min(status.step / status.steps, 1.0), f"step {status.step} of {status.steps}{left}"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _draw_curve(follower: Follower, status: RunStatus, shipped: ShippedRun | None) -> None:
    names = names_in(follower.records) or ["loss"]
    name = kept(st.selectbox, "Curve", names, key="watched_curve", default="loss")
    steps, values = series(follower.records, name)
    expected = band(shipped.records, name) if shipped else None
    last = max(status.steps, 1)
    words = (
        f"{name} after step {steps[-1]} of {last}: {values[-1]:.4g}"
        if len(steps)
        else "no step yet"
    )
    beside = ""
    if len(steps) and expected and shipped:
        beside = beside_band(expected, int(steps[-1]), shipped)
    st.markdown(plain(f"{words}{beside}."))
    key = f"curve_{'band' if expected else 'alone'}"
    curves.curve(steps, values, name=name, last=last, band=expected, key=key, alt=words + beside)
    if name in MEANINGS:
        st.caption(MEANINGS[name])
    if shipped and expected:
        unlike = differences(shipped, follower.run, follower.stage)
        st.caption(
            plain(
                f"Grey: where {shipped.title} lay (10 % to 90 % of its lines around "
                "each step, dashed their median)."
                + (
                    f" Expect yours elsewhere: {'; '.join(unlike)}."
                    if unlike
                    else " Same settings."
                )
            )
        )


def _draw_samples(follower: Follower) -> None:
    heard = samples_in(follower.records)
    if not heard:
        st.caption("Every 30 steps it answers the same held-out clips here.")
        return
    sounds = None
    if st.toggle("Hear the held-out clips", key="hear_held_out"):
        sounds = held_out_sounds(follower.stage)
    for sample in heard:
        draw_sample(sample, sounds[sample.clip] if sounds and sample.clip in sounds else None)


def draw_sample(sample: Samples, sound: bytes | None = None) -> None:
    """What was said to one held-out clip, the last three times."""
    with st.container(border=True, key=f"sample_{sample.clip}_{sample.task}"):
        mark = ":material/check:" if sample.is_right else ":material/close:"
        st.markdown(
            f"{mark} clip {sample.clip}, {plain(sample.task)}: true is “{plain(sample.true)}”"
        )
        for step, said in sample.said[-3:]:
            st.caption(f"step {step}: “{plain(said)}”")
        if sound:
            st.audio(sound, sample_rate=SAMPLE_RATE, alt=f"clip {sample.clip}")


@st.cache_data(max_entries=4, show_spinner="Rendering the clips…")
def held_out_sounds(stage: dict) -> dict[int, bytes]:
    """The held-out clips of a run as wav files, by their number."""
    from q2a_core.audio import wav_bytes
    from q2a_core.training.data import held_out_examples
    from q2a_core.training.stages import StageConfig

    examples = held_out_examples(StageConfig.from_dict(stage))
    return {e.scene.index: wav_bytes(e.samples) for e in examples if e.samples is not None}
