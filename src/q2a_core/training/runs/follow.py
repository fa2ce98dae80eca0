"""Watching a run from outside: what state it is in, and its log as curves. Imports no torch.

A `Follower` may be asked several times a second: it reads what was added to the log since, and begins anew when the run
cut its log on resuming.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from q2a_core.training.runs import background, presence
from q2a_core.training.runs.layout import (
    CHECKPOINT,
    CONFIG_FILE,
    DOING,
    FAILED,
    HOLDER,
    LAUNCH,
    LOG_FILE,
    STOP,
)
from q2a_core.training.runs.runlog import records_in

State = Literal["none", "preparing", "running", "stopping", "stopped", "finished", "died"]
ACTIVE: tuple[State, ...] = ("preparing", "running", "stopping")
"""States in which a process works in the folder."""
LOOK_EVERY = 0.5
"""Seconds between two looks of a face at a run that goes on; a quarter is the least that a notebook takes well."""
STATE_WORDS: dict[str, str] = {
    "none": "not begun",
    "preparing": "preparing",
    "running": "running",
    "stopping": "stopping, its state is being saved",
    "stopped": "stopped",
    "finished": "finished",
    "died": "died",
}
"""What a face says of each state; how a stopped run goes on is the face's own to say."""
DOING_WORDS = {"speaking": "speaking phrases", "sampling": "sampling pairs of replies"}
"""What a run is doing before its first step, in words."""
TAIL = 256
"""Bytes before the place read up to that must still stand there."""
SILENT_END = (
    "its process is gone and left no message: it was killed, or the machine stopped. "
    "What it had saved is whole"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStatus:
    """Where a run stands."""

    state: State
    step: int = 0
    """Steps in the log, or in the newest save if the log was cut since."""
    steps: int = 0
    """Steps that it is to make; 0 if it has not come to write that down."""
    doing: str = ""
    """speaking or sampling, before the first step."""
    done: int = 0
    total: int = 0
    """How far that is."""
    error: str = ""
    """Why it died."""
    seconds_left: float | None = None
    """At the speed of the last steps."""
    is_leaving: bool = False
    """It stopped and all is saved, but its process still writes RUN/checkpoint."""

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE


@dataclass
class LogReader:
    """The whole records of a growing run log, each read once."""

    path: Path
    records: list[dict[str, Any]] = field(default_factory=list)
    _place: int = 0
    _tail: bytes = b""

    def refresh(self) -> bool:
        """Read what was added; whether anything changed. A half-written last line waits for the next time."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._place - len(self._tail))
                found = file.read()
        except OSError:
            found = b""
        if not found.startswith(self._tail):  # cut or replaced: what was read is no longer there
            self._place, self._tail, self.records = 0, b"", []
            self.refresh()
            return True
        fresh = found[len(self._tail) :]
        whole = fresh[: fresh.rfind(b"\n") + 1]
        if not whole:
            return False
        self._place += len(whole)
        self._tail = (self._tail + whole)[-TAIL:]
        self.records += records_in(whole)
        return True


class Follower:
    """One run's folder, watched."""

    def __init__(self, run: Path):
        self.run = run
        self.log = LogReader(run / LOG_FILE)
        self.stage: dict[str, Any] = {}

    @property
    def records(self) -> list[dict[str, Any]]:
        """The log so far."""
        return self.log.records

    def refresh(self) -> RunStatus:
        """Read on, and say where the run stands."""
        # whether somebody is there comes first: a run that ends between the two looks has written its last line
        occupied = background.occupied(self.run)
        self.log.refresh()
        if not self.stage:
            self.stage = presence.read_note(self.run / CONFIG_FILE) or {}
        begun = background.has_begun(self.run)
        asked = (self.run / STOP).is_file()
        values: dict[str, Any] = {"step": self._step(), "steps": int(self.stage.get("steps", 0))}
        if occupied:
            if asked and begun and self._stopped():
                return RunStatus(state="stopped", is_leaving=True, **values)
            if asked:
                return RunStatus(state="stopping", **values)
            if begun and occupied == "held":
                return RunStatus(state="running", seconds_left=self._seconds_left(), **values)
            return RunStatus(state="preparing", **values, **self._doing())
        state = self._ended(begun, asked)
        return RunStatus(state=state, error=self._error() if state == "died" else "", **values)

    def _ended(self, begun: bool, asked: bool) -> State:
        """What the files say of a run that nobody works on."""
        if not begun:
            names = (LAUNCH, HOLDER, LOG_FILE)
            if not any((self.run / name).is_file() for name in names):
                return "none"
            return "stopped" if asked else "died"
        if self._stopped():
            return "stopped"
        finished = self._last_mark().get("finished")
        return "finished" if finished and (self.run / CHECKPOINT).is_dir() else "died"

    def _stopped(self) -> bool:
        """Whether the log's last beginning ended with a save before the last step, and with no error."""
        mark = self._last_mark()
        return mark.get("kind") == "end" and not mark.get("finished") and "error" not in mark

    def _last_mark(self) -> dict[str, Any]:
        """The log's last line about a beginning or an end; {} before the first."""
        return next((r for r in reversed(self.records) if r.get("kind") in ("run", "end")), {})

    def _step(self) -> int:
        return max((int(record.get("step", 0)) for record in self.records[-8:]), default=0)

    def _doing(self) -> dict[str, Any]:
        note = presence.read_note(self.run / DOING)
        return (
            {}
            if note is None
            else {"doing": note["what"]} | {k: note[k] for k in ("done", "total")}
        )

    def _error(self) -> str:
        failed = presence.read_note(self.run / FAILED) or self._last_mark()
        return failed.get("error") or background.last_output(self.run) or SILENT_END

    def _seconds_left(self) -> float | None:
        for record in reversed(self.records):
            if record.get("kind") == "run":
                return None
            if record.get("kind") == "step" and record.get("clips_per_second"):
                size = self.stage.get("batch_size", 1) * self.stage.get("accumulate", 1)
                left = self.stage.get("steps", 0) - record["step"]
                return left * size / record["clips_per_second"]
        return None


def series(records: list[dict[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """One curve of a log: steps (K,) and values (K,), where the lines of the log have it."""
    points = [
        (record["step"], record[name])
        for record in records
        if record.get("kind") == "step" and name in record
    ]
    steps, values = zip(*points, strict=True) if points else ((), ())
    return np.asarray(steps, dtype=np.int64), np.asarray(values, dtype=np.float64)


def names_in(records: list[dict[str, Any]]) -> list[str]:
    """What the steps of a log measure, in the order in which it first occurs."""
    apart = {"kind", "step", "learning_rate", "clips_per_second", "tokens_per_second"}
    names = (name for r in records if r.get("kind") == "step" for name in r if name not in apart)
    return list(dict.fromkeys(names))


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """What the model said to one held-out clip while it learned."""

    clip: int
    task: str
    true: str
    said: tuple[tuple[int, str], ...]
    """(step, reply), oldest first."""

    @property
    def is_right(self) -> bool:
        """Whether the last reply is the true answer, word for word."""
        return bool(self.said) and self.said[-1][1].strip() == self.true.strip()


def samples_in(records: list[dict[str, Any]]) -> list[Samples]:
    """The decoded samples of a log, clip by clip."""
    heard: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for record in records:
        if record.get("kind") == "sample":
            heard.setdefault((record["clip"], record["task"]), []).append(record)
    return [
        Samples(
            clip=clip,
            task=task,
            true=found[-1]["true"],
            said=tuple((record["step"], record["said"]) for record in found),
        )
        for (clip, task), found in heard.items()
    ]
