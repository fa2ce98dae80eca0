"""How far a run is and how fast it goes: what a face may show after a step, and the log keeps."""

import time
from dataclasses import dataclass

from q2a_core.training.stages import StageConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What a face may show after a step."""

    step: int
    steps: int
    losses: dict[str, float]
    """Means since the last report, by name: `loss`, `loss/` and a task, and what else the objective counts."""
    clips_per_second: float
    tokens_per_second: float
    """Positions that the decoder reads, padding included."""
    seconds_left: float

    @property
    def loss(self) -> float:
        """What the stage is named for: next-token loss, or the preference loss."""
        return self.losses["loss"]

    def to_record(self) -> dict[str, float]:
        """What the log keeps of it."""
        losses = {name: round(value, 5) for name, value in self.losses.items()}
        return {
            **losses,
            "clips_per_second": round(self.clips_per_second, 2),
            "tokens_per_second": round(self.tokens_per_second, 1),
        }


class Clock:
    """Speed over the last steps, and the time that is left."""

    def __init__(self, stage: StageConfig, done: int):
        self.stage, self.first = stage, done
        self.marks: list[tuple[float, int, int]] = [(time.perf_counter(), 0, 0)]

    def count(self, clips: int, tokens: int) -> None:
        """One more step, of so many clips and positions."""
        _, before, read = self.marks[-1]
        self.marks.append((time.perf_counter(), before + clips, read + tokens))
        self.marks = self.marks[-101:]

    def progress(self, step: int, losses: dict[str, float]) -> Progress:
        """What to show after `step`, with these mean losses."""
        (then, before, read), (now, clips, tokens) = self.marks[0], self.marks[-1]
        steps_per_second = (len(self.marks) - 1) / max(now - then, 1e-9)
        return Progress(
            step=step,
            steps=self.stage.steps,
            losses=losses,
            clips_per_second=(clips - before) / max(now - then, 1e-9),
            tokens_per_second=(tokens - read) / max(now - then, 1e-9),
            seconds_left=(self.stage.steps - step) / steps_per_second,
        )
