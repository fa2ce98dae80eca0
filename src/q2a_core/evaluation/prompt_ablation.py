"""Natural language against tags, from the reports beside the shipped checkpoints; nothing is measured here.

`q2a eval --suite prompts --output DIRECTORY/prompts.json` writes such a report beside a checkpoint.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from q2a_core import paths
from q2a_core.evaluation.metrics import Score
from q2a_core.evaluation.stage_results import RESULTS_FILE

PROMPTS_FILE = "prompts.json"
SUITES = ("seen prompts", "unseen paraphrases", "unseen combinations")
"""Names of `prompt_suites`, in their order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedWith:
    """What one checkpoint scored."""

    checkpoint: str
    hash: str
    trained_on: Literal["natural", "tags"]
    scores: dict[str, Score]
    """Share of right answers by suite."""


def prompt_ablation(checkpoints: dict[str, Path] | None = None) -> list[AskedWith]:
    """Every shipped checkpoint whose report has prompt suites; an ablation needs one trained on each way of asking."""
    known = paths.shipped_checkpoints() if checkpoints is None else checkpoints
    found, seen = [], set()
    for name, directory in known.items():
        if directory.resolve() in seen:  # "mini" is another name of one of them
            continue
        seen.add(directory.resolve())
        for file in (PROMPTS_FILE, RESULTS_FILE):
            report = _read(directory / file)
            rows = {row["suite"]: row["score"] for row in report.get("rows", ())}
            scores = {
                suite: Score(**{key: rows[suite][key] for key in ("value", "low", "high", "n")})
                for suite in SUITES
                if suite in rows
            }
            if scores:
                own = (directory.name if name == "mini" else name), report["checkpoint"]["hash"]
                found.append(
                    AskedWith(
                        checkpoint=own[0],
                        hash=own[1],
                        trained_on="tags" if _trained_on_tags(directory) else "natural",
                        scores=scores,
                    )
                )
                break
    return found


def _trained_on_tags(directory: Path) -> bool:
    config = _read(directory / "about.json").get("config")
    return isinstance(config, dict) and config.get("prompts") == "tags"


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
