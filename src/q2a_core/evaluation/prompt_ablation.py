"""Natural language against tags, from the reports that ship; nothing is measured here.

Two twins began from the same weights and saw the same clips in the same order; one was asked in sentences, the other in
Qwen-Audio's hierarchical tags. The same short fine-tuning followed for both. `q2a eval --suite prompts --output FILE`
writes such a report.

    data_samples/prompt_ablation/PROMPTS-STAGE.json      PROMPTS natural or tags, STAGE pretrain or sft
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal, get_args

from q2a_core import paths
from q2a_core.evaluation.metrics import Score
from q2a_core.files import json_or_none

FOLDER = "prompt_ablation"
"""In `data_samples`."""
SUITES = ("seen prompts", "unseen paraphrases", "unseen combinations")
"""Names of `prompt_suites`, in their order."""
Prompts = Literal["natural", "tags"]
Stage = Literal["pretrain", "sft"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedWith:
    """What one twin scored after one stage."""

    hash: str
    prompts: Prompts
    """How it was asked while pre-training; fine-tuning asks everybody in sentences."""
    stage: Stage
    clips: int
    """Dialogues up to the end of the stage, those of the common start among them."""
    scores: dict[str, Score]
    """Share of right answers by suite."""


def prompt_ablation(folder: Path | None = None) -> list[AskedWith]:
    """Both twins after both stages, as far as their reports are there."""
    folder = folder or paths.data_samples() / FOLDER
    found = []
    for stage, prompts in product(get_args(Stage), get_args(Prompts)):
        report = json_or_none(folder / f"{prompts}-{stage}.json") or {}
        rows = {row["suite"]: row["score"] for row in report.get("rows", ())}
        if not all(suite in rows for suite in SUITES):
            continue
        found.append(
            AskedWith(
                hash=report["checkpoint"]["hash"],
                prompts=prompts,
                stage=stage,
                clips=report["checkpoint"]["clips"],
                scores={
                    suite: Score(**{key: rows[suite][key] for key in ("value", "low", "high", "n")})
                    for suite in SUITES
                },
            )
        )
    return found
