"""A training run at class budget, watched in a notebook: its curve over the expected band, its replies, its time left.

The run is a process of its own, started by the same code as the workbench's Train page, and found again by its folder.
The cell waits for it and redraws one output through one display handle. Interrupting the kernel (the square button)
stops the run with its state saved; `go_on` continues it.
"""

import html
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from q2a_core.errors import RunError
from q2a_core.teaching.widgets.curve import curve_svg
from q2a_core.training.runs import background, folders
from q2a_core.training.runs.class_run import FRESH, ClassRun, shipped_starts
from q2a_core.training.runs.expected import band, beside_band, differences, expected_run
from q2a_core.training.runs.follow import (
    DOING_WORDS,
    LOOK_EVERY,
    STATE_WORDS,
    Follower,
    RunStatus,
    samples_in,
    series,
)
from q2a_core.training.runs.layout import CHECKPOINT

STOP_PATIENCE = 120.0
"""Seconds in which a run that was asked to stop must have saved its state."""
WORDS = STATE_WORDS | {"stopped": "stopped; go_on(run) continues it where it stood"}
SHOWN_REPLIES = 2
"""Replies to each held-out clip that are shown, the last ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveRun:
    """What a run left behind, for the cells after it."""

    name: str
    folder: Path
    stage: str
    start: str
    """What it began from: a shipped name or a directory; "" is fresh weights."""
    state: str
    step: int
    steps: int
    seconds: float
    """How long the cell waited."""
    losses: dict[str, float]
    """The last line of its log."""
    records: list[dict[str, Any]] = field(repr=False)
    """Its whole log."""
    error: str = ""

    @property
    def checkpoint(self) -> Path | None:
        """What it trained; None if it came to no checkpoint."""
        folder = self.folder / CHECKPOINT
        return folder if (folder / "config.json").is_file() else None

    @property
    def model(self) -> str:
        """What later cells open: its checkpoint, or without one what it began from, or the best that ships."""
        return str(self.checkpoint or self.start or "mini")

    def __str__(self) -> str:
        loss = f", loss {self.losses['loss']:.3f}" if "loss" in self.losses else ""
        why = f": {self.error}" if self.error else ""
        return (
            f"{self.name} {WORDS[self.state]} after step {self.step} of {self.steps}{loss}, {self.seconds:.0f} s; "
            f"{self.folder}{why}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """One look at a run; Jupyter draws it, and where nothing draws it says the same in words."""

    words: str
    body: str = field(repr=False)

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": self.words, "text/html": self.body}


def pick_start(stage: str) -> tuple[str, str]:
    """What a lesson's run begins from, and a sentence about it: the shipped checkpoint of the stage before.

    Where that one does not ship, pre-training begins with fresh weights and other stages with the next best shipped
    checkpoint. Raises RunError if nothing fits.
    """
    shipped = shipped_starts(stage)
    wanted = list(shipped)
    for place, names in enumerate(shipped.values()):
        if stage == "pretrain" and place > 0:
            break
        if names:
            apart = "" if place == 0 else f"; mini-{wanted[0]} does not ship"
            return names[0], f"The run begins from {names[0]}, which ships{apart}."
    if stage in ("start", "pretrain"):
        missing = f"mini-{wanted[0]} does not ship here, so the" if wanted else "The"
        return FRESH, (
            f"{missing} run begins with fresh weights: in a minute it learns how answers are worded, and hardly yet "
            "to hear."
        )
    names = " or ".join(f"mini-{before}" for before in wanted)
    raise RunError(f"{stage} begins from {names}, and none ships here; train one with q2a train")


def live_run(class_run: ClassRun, *, show: Callable[[Picture], None] | None = None) -> LiveRun:
    """Train as `class_run` says in a new folder among the user's runs, and watch until it ends.

    `show` gets each picture in the place of the notebook. Raises RunError if the run cannot be started; a run that dies
    is told in the record.
    """
    run = folders.new_folder(class_run.stage)
    background.launch(run, class_run.options())
    return _watch(run, class_run.stage, class_run.start, show or _in_notebook())


def go_on(run: LiveRun, *, show: Callable[[Picture], None] | None = None) -> LiveRun:
    """Continue a stopped run where it stood, and watch until it ends. Raises RunError."""
    background.resume(run.folder)
    return _watch(run.folder, run.stage, run.start, show or _in_notebook())


def _watch(run: Path, stage: str, start: str, show: Callable[[Picture], None]) -> LiveRun:
    follower, began, drawn = Follower(run), time.monotonic(), ""
    status = RunStatus(state="preparing")
    stopped_at: float | None = None
    looked = False
    while True:
        try:
            if looked:
                time.sleep(LOOK_EVERY)
            looked = True
            status = follower.refresh()
            picture = draw(follower, status)
            if picture.body != drawn:
                show(picture)
                drawn = picture.body
            if not status.is_active and not status.is_leaving:
                break
            if stopped_at is not None and time.monotonic() - stopped_at > STOP_PATIENCE:
                break
        except KeyboardInterrupt:
            if stopped_at is not None:  # asked a second time: leave it to itself
                break
            background.stop(run)
            stopped_at = time.monotonic()
    steps = [record for record in follower.records if record.get("kind") == "step"]
    return LiveRun(
        name=run.name,
        folder=run,
        stage=stage,
        start=start,
        state=status.state,
        step=status.step,
        steps=status.steps,
        seconds=time.monotonic() - began,
        losses={
            name: float(value)
            for name, value in (steps[-1] if steps else {}).items()
            if name not in ("kind", "step")
        },
        records=list(follower.records),
        error=status.error,
    )


def draw(follower: Follower, status: RunStatus) -> Picture:
    """What a look at a run shows."""
    head = f"{follower.run.name} {WORDS[status.state]}{_how_far(status)}"
    parts = [f"<b>{html.escape(head)}</b>"]
    if status.error:
        parts.append(f'<div style="color:#c04000">{html.escape(status.error)}</div>')
    words = [head, status.error] if status.error else [head]
    if follower.stage:
        curve, beside = _curve(follower, status)
        parts += [curve, f"<div><small>{html.escape(beside)}</small></div>"]
        replies = _replies(follower)
        parts += replies
        words.append(beside)
    return Picture(
        words="\n".join(words), body=f'<div style="max-width:60em">{"".join(parts)}</div>'
    )


def _how_far(status: RunStatus) -> str:
    if status.state == "preparing":
        if status.total:
            return f": {DOING_WORDS.get(status.doing, 'working')}, {status.done} of {status.total}"
        return ": loading; new phrases are spoken once and then kept"
    if not status.steps:
        return ""
    left = f", about {status.seconds_left:.0f} s left" if status.seconds_left is not None else ""
    return f": step {status.step} of {status.steps}{left}"


def _curve(follower: Follower, status: RunStatus) -> tuple[str, str]:
    """The picture of the loss, and what stands under it."""
    steps, values = series(follower.records, "loss")
    shipped = expected_run(follower.stage.get("name", ""))
    expected = band(shipped.records, "loss") if shipped else None
    said = f"loss {values[-1]:.4g} after step {steps[-1]}" if len(steps) else "no step yet"
    if shipped and expected:
        if len(steps):
            said += beside_band(expected, int(steps[-1]), shipped)
        unlike = differences(shipped, follower.run, follower.stage)
        said += ". Grey: where that run lay. " + (
            f"Expect yours elsewhere: {'; '.join(unlike)}." if unlike else "Same settings."
        )
    picture = curve_svg(
        steps, values, name="loss", last=max(status.steps, 1), band=expected, alt=said
    )
    return picture, said


def _replies(follower: Follower) -> list[str]:
    """Its answers to the same held-out clips, the last ones of each."""
    parts = []
    for sample in samples_in(follower.records):
        mark = "✔" if sample.is_right else "✘"
        said = "".join(
            f"<br>&emsp;step {step}: “{html.escape(text)}”"
            for step, text in sample.said[-SHOWN_REPLIES:]
        )
        parts.append(
            f"<div>{mark} clip {sample.clip}, {html.escape(sample.task)}: "
            f"true is “{html.escape(sample.true)}”{said}</div>"
        )
    return parts


def _in_notebook() -> Callable[[Picture], None]:
    """Draws through one display handle, so that a run has one output however often it is drawn."""
    from IPython.display import display

    handle: Any = None

    def show(picture: Picture) -> None:
        nonlocal handle
        if handle is None:
            handle = display(picture, display_id=True)
        else:
            handle.update(picture)

    return show
