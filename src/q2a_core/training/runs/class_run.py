"""A run at class budget as a face offers it: what to begin from, the knobs that matter, and the options they make.

Imports no torch. A step's dialogues are cut into micro-batches of at most `MICRO_BATCH`, because a stop acts between
two of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from q2a_core import paths
from q2a_core.training import stages
from q2a_core.training.runs import folders, presence
from q2a_core.training.runs.layout import CHECKPOINT
from q2a_core.training.stages import CLASS_BUDGET, FRESH_START, MICRO_BATCH, StageConfig

STAGES = ("start", "pretrain", "sft", "dpo")
BEFORE = {"pretrain": ("start", "pretrain"), "sft": ("pretrain", "sft"), "dpo": ("sft", "dpo")}
"""Stages whose checkpoints a stage may go on from, the intended one first."""
FRESH = ""
"""In the place of a checkpoint: weights drawn anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassRun:
    """What a student sets."""

    stage: str
    start: str = FRESH
    """Shipped name or directory; "" begins with fresh weights."""
    steps: int | None = None
    """None, here and in the two below: the class budget's, so that the curve can be held against its recorded run."""
    learning_rate: float | None = None
    dialogues: int | None = None
    """Dialogues, or pairs, in a step."""
    seed: int = 0
    beta: float = 0.1
    """How strongly DPO holds to the reference."""
    pairs: Path | None = None
    """JSONL of preference pairs for DPO."""
    sampled: int = 0
    """Pairs that DPO samples from the start checkpoint's own replies, ranked by the judge."""

    def options(self) -> list[str]:
        """Options of `q2a train`, the stage first."""
        options = [self.stage, "--budget", "class", "--seed", str(self.seed)]
        if self.steps is not None:
            options += ["--steps", str(self.steps)]
        if self.learning_rate is not None:
            options += ["--learning-rate", f"{self.learning_rate:g}"]
        if self.dialogues is not None:
            micro = next(size for size in range(MICRO_BATCH, 0, -1) if self.dialogues % size == 0)
            options += ["--batch-size", str(micro), "--accumulate", str(self.dialogues // micro)]
        if self.start != FRESH:
            options += ["--start", self.start]
        elif class_stage(self.stage).start is not None:
            options += ["--start", FRESH_START]
        if self.stage == "dpo":
            # the few pairs are made faster than a process that makes them would start
            options += ["--workers", "0"]
            options += ["--beta", f"{self.beta:g}", "--sampled", str(self.sampled), "--absent", "0"]
            options += ["--pairs", str(self.pairs)] if self.pairs else []
        return options

    def command(self, run: str) -> str:
        """What to type for the same run."""
        return " ".join(["q2a train", *map(_quoted, [*self.options(), "--run", run])])


def class_stage(name: str) -> StageConfig:
    """A stage's settings at class budget."""
    return getattr(stages, name)(**CLASS_BUDGET[name])


def own_checkpoints() -> dict[str, Path]:
    """Checkpoints of the user's runs by the run's name, newest first."""
    found = {name: folders.run_folder(name) / CHECKPOINT for name in folders.known_runs()}
    return {name: path for name, path in found.items() if (path / "config.json").is_file()}


def stage_of(directory: Path) -> str | None:
    """Which stage made a checkpoint; None if it does not say."""
    about = presence.read_note(directory / "about.json") or {}
    stage = about.get("stage")
    return stage if isinstance(stage, str) else None


def shipped_starts(stage: str) -> dict[str, list[str]]:
    """Shipped checkpoints that a stage may begin from, by the stage that made them, the best choice first."""
    shipped = paths.shipped_checkpoints()
    return {
        before: [
            name
            for name in sorted(shipped, key=lambda name: (name != f"mini-{before}", name))
            if stage_of(shipped[name]) == before and is_trainable(shipped[name])
        ]
        for before in BEFORE.get(stage, ())
    }


def starts_for(stage: str) -> dict[str, str]:
    """What a stage may begin from, the best choice first: a name to show and what to pass on.

    Shipped checkpoints of the stages before it, then those of the user's runs, then fresh weights where that makes
    sense.
    """
    found: dict[str, str] = {}
    for before, names in shipped_starts(stage).items():
        found |= {name: name for name in names}
        for name, directory in own_checkpoints().items():
            if stage_of(directory) == before and is_trainable(directory):
                found[f"run {name}"] = str(directory)
    if stage == "start":
        found["fresh weights"] = FRESH
    return found


def is_trainable(directory: Path) -> bool:
    """Whether a checkpoint reads and writes with the mini world's tokenizer, which training uses."""
    try:
        ours = (paths.data_samples() / "tokenizer" / "tokenizer.json").read_bytes()
        return (directory / "tokenizer.json").read_bytes() == ours
    except OSError:
        return False


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text


def how_to_make(stage: str) -> str:
    """The command that makes a stage's checkpoint in full."""
    start = next(iter(starts_for(stage)), "")
    begin: Sequence[str] = ("--start", start) if stage in BEFORE and start else ()
    return " ".join(["q2a train", stage, *begin, "--run", f"my_{stage}"])
