"""What the page Modes keeps: one tab's settings and replies, and the probes that all tabs share.

A probe takes seconds, so it runs in a thread of its own and pages look at how far it is; closing a tab or turning a
knob does not end it. Nothing here imports torch before a model is loaded.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

import clip_state
import state
from job import Job
from q2a_core.audio import Waveform
from q2a_core.errors import SpeechError
from q2a_core.inspection.modes import MIXED_TEXT, SPOKEN_QUESTION, speak_question
from remembered import Remembered
from settings import kept

if TYPE_CHECKING:
    from model_state import ModelLoad
    from q2a_core.inspection.mode_probe import ModeProbe

EXAMPLES = 240
"""Clips that a probe is fitted to and judged on."""
HELD_OUT = 48
"""Other clips, on which a push is measured."""
HELD_OUT_SEED = 1
STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
RESULTS_KEPT = 128
_one_at_a_time = threading.Lock()


@dataclass
class ModesSettings:
    """The page's knobs, and what was computed for them in this tab."""

    text: str = "What is this sound?"
    words: str = SPOKEN_QUESTION
    voice: str = "a woman"
    order: str = "after the clip"
    mixed: str = MIXED_TEXT
    scored: str = "voice chat"
    other: str | None = None
    task: str = "question"
    pushed: str = "voice chat"
    layer: int = 0
    strength: float = 1.0
    direction: str = "means"
    results: Remembered[Any, Any] = field(default_factory=lambda: Remembered(RESULTS_KEPT))

    def widget(
        self, draw: Callable[..., Any], label: str, name: str, *args: Any, **options: Any
    ) -> Any:
        """Draw the widget of a setting, keep what it says in the field `name`, and return it."""
        value = kept(
            draw, label, *args, key=f"modes_{name}", default=getattr(self, name), **options
        )
        setattr(self, name, value)
        return value


def settings() -> ModesSettings:
    """This tab's settings."""
    return state.session().of(ModesSettings)


@dataclass
class ProbeJob(Job[Any]):
    """A probe, or what pushes along it do; it waits until no other one runs."""

    key: tuple[Any, ...]
    phase: str = "waiting for another one to end"

    def at(self, phase: str) -> Callable[[int, int], None]:
        """A progress callback of one phase."""

        def report(done: int, total: int) -> None:
            self.phase = phase
            self.progress(done, total)

        return report

    @property
    def line(self) -> str:
        """How far it is, in words."""
        count = f" {self.done} of {self.total}" if self.total else ""
        return f"{self.phase}{count} … {self.seconds:.0f} s"


def probe_job(load: "ModelLoad", task: str) -> ProbeJob:
    """The probe of a loaded checkpoint on one task, running or done."""
    return _job("probe", load.source, load.stamp, task, _load=load)


def effects_job(load: "ModelLoad", probe: "ModeProbe", layer: int, direction: str) -> ProbeJob:
    """What pushes at `layer` along what the probe found do to other clips, with a random direction beside them."""
    key = ("effects", load.source, load.stamp, probe.task.name, layer, direction)
    return _job(*key, _load=load, _probe=probe)


def known_jobs() -> set[tuple[Any, ...]]:
    """Keys of the jobs that were started: a page asks before it starts one."""
    return _known()


def forget(job: ProbeJob) -> None:
    """Let the next call start it anew."""
    _known().discard(job.key)
    _job.clear(*job.key)  # type: ignore[attr-defined]


@st.cache_resource(show_spinner=False)
def _known() -> set[tuple[Any, ...]]:
    return set()


@st.cache_resource(max_entries=48, show_spinner=False)
def _job(*key: Any, _load: "ModelLoad", _probe: "ModeProbe | None" = None) -> ProbeJob:
    def run() -> Any:
        with _one_at_a_time:
            job.started = time.monotonic()
            return _run_probe(job, _load) if _probe is None else _run_effects(job, _load, _probe)

    job = ProbeJob(key)
    _known().add(key)
    job.start(run, name=f"job {key[0]}")
    return job


def _run_probe(job: ProbeJob, load: "ModelLoad") -> Any:
    from q2a_core.inspection.mode_probe import mode_probe
    from q2a_core.inspection.mode_scenes import MODE_TASKS

    task = MODE_TASKS[job.key[3]]
    report = job.at("making clips and capturing states, step")
    return mode_probe(
        load.future.result(), task, examples=EXAMPLES, book=_book(job, task), on_progress=report
    )


def _run_effects(job: ProbeJob, load: "ModelLoad", probe: "ModeProbe") -> Any:
    from q2a_core.inspection.mode_scenes import mode_clips
    from q2a_core.inspection.steering import random_direction, steering_effects

    *_, layer, kind = job.key
    chat, task = load.future.result(), probe.task
    clips = mode_clips(
        task,
        count=HELD_OUT,
        seed=HELD_OUT_SEED,
        book=_book(job, task),
        on_progress=job.at("making other clips,"),
    )
    vector = probe.layers[layer].direction(kind)
    effects = {}
    for title, push in (
        (kind, vector),
        ("random", random_direction(vector, np.random.default_rng(layer))),
    ):
        report = job.at(f"pushing along the {title} direction,")
        effects[title] = steering_effects(chat, clips, layer, push, STRENGTHS, on_progress=report)
    return effects


def _book(job: ProbeJob, task: Any) -> Any:
    """Test utterances to draw from; None where there is no speech engine and the task can do without."""
    from q2a_core.inspection.mode_scenes import probe_book

    try:
        return probe_book(job.at("speaking test utterances,"))
    except SpeechError:
        if task.needs_speech:
            raise
        return None


@st.cache_data(max_entries=32, show_spinner="Speaking the question…")
def spoken(words: str, voice: str) -> Waveform:
    """A question spoken by the engine. Raises SpeechError."""
    return speak_question(words, voice=voice)


def recorded(file: BytesIO) -> Waveform:
    """A question that the visitor spoke. Raises Q2AError."""
    return clip_state.uploaded_clip(file, name="your question").waveform
