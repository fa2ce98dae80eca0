"""What to expect of a run: the band in which a recorded one lay, and how that one differs.

    data_samples/class_runs/STAGE.json      our run at class budget: {"start": hash, "records": the log's lines}
    CHECKPOINT/training/log.jsonl           the long run behind a shipped checkpoint

The band is one run's own scatter, not that of many runs with other seeds, and another start or batch shifts the curve:
`differences` says so beside it. Imports no torch.
"""

import json
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from q2a_core import paths
from q2a_core.training.runs.follow import LogReader, series
from q2a_core.training.runs.layout import LOG_FILE, START_FILE
from q2a_core.training.runs.presence import read_note
from q2a_core.training.stages import PARTS, StageConfig

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
    "steps",
    "seed",
    "final_rate",
    "weight_decay",
    "max_grad_norm",
    "connected",
    "level",
    "engines",
    "ramp",
    "utterances",
)
"""Settings that move a curve, beside the size of a step, the parts' rates and the pairs."""
PAIR_KINDS = {"own": "own pairs", "absent": "pairs about absent things", "asked": "sampled pairs"}
"""What `pairs_by_kind` in the log of a run on preferences is called in words."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Band:
    """Where one run's values lay around each step."""

    steps: np.ndarray  # (K,)
    low: np.ndarray  # (K,) the 10 % quantile of the lines around
    middle: np.ndarray  # (K,) their median
    high: np.ndarray  # (K,) the 90 % quantile


@dataclass(frozen=True, kw_only=True, slots=True)
class ShippedRun:
    """A run whose log ships."""

    title: str
    """Which one it is, in words: the run behind mini-sft."""
    stage: dict[str, Any]
    """Its settings."""
    start_hash: str | None
    """Which weights it began from."""
    records: list[dict[str, Any]]


def expected_run(stage: str) -> ShippedRun | None:
    """What a student's run of this stage is held against: ours at class budget, or else the long one."""
    return recorded_class_run(stage) or shipped_run(stage)


def recorded_class_run(stage: str) -> ShippedRun | None:
    """Our run of this stage at class budget; None if none ships."""
    recorded = read_note(paths.data_samples() / "class_runs" / f"{stage}.json")
    if recorded is None:
        return None
    return ShippedRun(
        title="our run at class budget",
        stage=_settings(recorded["records"]),
        start_hash=recorded["start"],
        records=recorded["records"],
    )


def keep_class_run(run: Path, path: Path) -> None:
    """Keep the log of a run, and which weights it began from, in the file that `recorded_class_run` reads."""
    reader = LogReader(run / LOG_FILE)
    reader.refresh()
    start = read_note(run / START_FILE) or {}
    lines = ",\n".join(json.dumps(record, ensure_ascii=False) for record in reader.records)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'{{"start": {json.dumps(start.get("hash"))}, "records": [\n{lines}\n]}}\n', "utf-8"
    )


def shipped_run(stage: str) -> ShippedRun | None:
    """The run of this stage behind a shipped checkpoint; None if the log of none ships."""
    for directory in paths.shipped_checkpoints().values():
        about = read_note(directory / "about.json") or {}
        log = directory / "training" / LOG_FILE
        if about.get("stage") != stage or not log.is_file():
            continue
        reader = LogReader(log)
        reader.refresh()
        start = about.get("start") or {}
        return ShippedRun(
            title=f"the run behind {directory.name}",
            stage=_settings(reader.records),
            start_hash=start.get("hash"),
            records=reader.records,
        )
    return None


def _settings(records: list[dict[str, Any]]) -> dict[str, Any]:
    return next((record["stage"] for record in records if record.get("kind") == "run"), {})


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


def beside_band(expected: Band, step: int, shipped: ShippedRun) -> str:
    """What a shipped run had at a step, in words that go on behind a value; "" beyond its end."""
    if step > expected.steps[-1]:
        return ""
    place = int(abs(expected.steps - step).argmin())
    low, high = expected.low[place], expected.high[place]
    return f"; {shipped.title} had {low:.4g} to {high:.4g} there"


def differences(shipped: ShippedRun, run: Path, stage: dict[str, Any]) -> list[str]:
    """In which settings a run differs from the shipped one, in words; [] if the curves should agree."""
    found = []
    start = read_note(run / START_FILE) or {}
    if start.get("hash") != shipped.start_hash:
        theirs = shipped.start_hash or "fresh weights"
        found.append(f"ours began from {theirs}, yours from {start.get('hash') or 'fresh weights'}")
    sizes = [
        settings.get("batch_size", 1) * settings.get("accumulate", 1)
        for settings in (shipped.stage, stage)
    ]
    if sizes[0] != sizes[1]:
        found.append(f"ours {sizes[0]} dialogues a step, yours {sizes[1]}")
    compared = zip(_compared(shipped.stage), _compared(stage), strict=True)
    pairs = zip(_pairs(shipped.records), _pairs(_first_records(run)), strict=False)
    for (name, ours), (_, yours) in [*compared, *pairs]:
        if ours != yours:
            found.append(f"{name} ours {ours}, yours {yours}")
    return found


def _compared(stage: dict[str, Any]) -> list[tuple[str, Any]]:
    """What moves a curve, by its name in words; what an old log does not name yet was as it is by default."""
    known: dict[str, Any] = {field.name: field.default for field in fields(StageConfig)} | stage
    values = {
        name: list(value) if isinstance(value := known[name], tuple) else value for name in COMPARED
    }
    trains: Any = known["trains"]
    rates = stage.get("rates") or {}
    values |= {f"rate of {part}": rates.get(part, 1.0) if part in trains else 0.0 for part in PARTS}
    return [(name.replace("_", " "), value) for name, value in values.items()]


def _pairs(records: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """How many pairs of each kind a run on preferences learns from; [] for other runs and before it says so."""
    kinds = next((r["pairs_by_kind"] for r in records if "pairs_by_kind" in r), None)
    return [] if kinds is None else [(words, kinds[kind]) for kind, words in PAIR_KINDS.items()]


def _first_records(run: Path) -> list[dict[str, Any]]:
    """The head of a run's log, where its settings stand: a page looks twice a second and the log may be long."""
    try:
        with (run / LOG_FILE).open(encoding="utf-8") as lines:
            return [json.loads(line) for line in islice(lines, 1) if line.endswith("\n")]
    except (OSError, ValueError):
        return []
