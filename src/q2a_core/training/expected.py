"""What to expect of a run: the band in which the run behind a shipped checkpoint lay, and how that one differs.

The band is one run's own scatter, not that of many runs with other seeds, and another start or batch shifts the curve:
`differences` says so beside it. Imports no torch.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from q2a_core import paths
from q2a_core.training.follow import LogReader, series
from q2a_core.training.presence import read_note

WINDOW = 4
"""Lines of the log on either side that make the band at a step."""
LOW, HIGH = 0.1, 0.9
"""Quantiles that bound the band."""
COMPARED = (
    "learning_rate",
    "warmup_steps",
    "optimizer",
    "ctc_weight",
    "prompts",
    "beta",
    "nll_weight",
)
"""Settings that move a curve."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Band:
    """Where one run's values lay around each step."""

    steps: np.ndarray  # (K,)
    low: np.ndarray  # (K,) the 10 % quantile of the lines around
    middle: np.ndarray  # (K,) their median
    high: np.ndarray  # (K,) the 90 % quantile


@dataclass(frozen=True, kw_only=True, slots=True)
class ShippedRun:
    """The run behind a shipped checkpoint."""

    checkpoint: str
    """Name of the checkpoint that it made."""
    stage: dict[str, Any]
    """Its settings."""
    start_hash: str | None
    """Which weights it began from."""
    records: list[dict[str, Any]]


def shipped_run(stage: str) -> ShippedRun | None:
    """The run of this stage whose log ships; None if none does."""
    for directory in paths.shipped_checkpoints().values():
        about = read_note(directory / "about.json") or {}
        log = directory / "training" / "log.jsonl"
        if about.get("stage") != stage or not log.is_file():
            continue
        reader = LogReader(log)
        reader.refresh()
        settings = next((r["stage"] for r in reader.records if r.get("kind") == "run"), {})
        start = about.get("start") or {}
        return ShippedRun(
            checkpoint=directory.name,
            stage=settings,
            start_hash=start.get("hash"),
            records=reader.records,
        )
    return None


def band(records: list[dict[str, Any]], name: str, *, window: int = WINDOW) -> Band | None:
    """Quantiles of `name` over the lines around each step; None where the log has fewer than three."""
    steps, values = series(records, name)
    if len(steps) < 3:
        return None
    around = [values[max(k - window, 0) : k + window + 1] for k in range(len(steps))]
    low, middle, high = (
        np.array([np.quantile(part, share) for part in around]) for share in (LOW, 0.5, HIGH)
    )
    return Band(steps=steps, low=low, middle=middle, high=high)


def differences(shipped: ShippedRun, run: Path, stage: dict[str, Any]) -> list[str]:
    """In which settings a run differs from the shipped one, in words; [] if the curves should agree."""
    found = []
    start = read_note(run / "start.json") or {}
    if start.get("hash") != shipped.start_hash:
        theirs = shipped.start_hash or "fresh weights"
        found.append(
            f"it began from {theirs}, this one from {start.get('hash') or 'fresh weights'}"
        )
    sizes = [
        settings.get("batch_size", 1) * settings.get("accumulate", 1)
        for settings in (shipped.stage, stage)
    ]
    if sizes[0] != sizes[1]:
        found.append(f"{sizes[0]} dialogues in a step against {sizes[1]}")
    for name in COMPARED:
        theirs, ours = shipped.stage.get(name), stage.get(name)
        if theirs != ours:
            found.append(f"{name.replace('_', ' ')} {theirs} against {ours}")
    return found
