"""The report that `q2a eval --output` writes: read from its file, and its figures and conditions in words.

Needs no torch.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from q2a_core.errors import Q2AError

RESULTS_FILE = "results.json"
"""The report that lies beside a checkpoint."""


def read_results(path: Path) -> dict[str, Any] | None:
    """The report in a file, None where there is no file. Raises Q2AError for what is no report."""
    try:
        if not path.is_file():
            return None
    except OSError:  # a name too long for a file
        return None
    try:
        report = json.loads(path.read_text("utf-8"))
        _ = str(report["checkpoint"]["name"]), str(report["checkpoint"]["hash"])
        for row in report["rows"]:
            str(row["suite"] + row["metric"])
            score = row["score"]
            _ = score["value"], score["low"], score["high"], score["n"]
            _ = row["control"]["value"] if row.get("control") else None
        for example in report.get("examples", []):
            str(example["suite"] + example["true"] + example["reply"])
            int(example["clip"])
            str(example["question"])  # None where the clip comes alone
        report.get("conditions", {}).items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Q2AError(f"{path.name} is no report of `q2a eval`") from error
    return report


def figure_text(value: float | None, metric: str) -> str:
    """Shares as per cent; BLEU points and marks as they are."""
    if value is None or math.isnan(value):
        return "none"
    if metric == "BLEU":
        return f"{value:.1f}"
    return f"{value:.2f}" if "0-10" in metric else f"{value:.1%}"


def conditions_of(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Everything that a report says about how its checkpoint was asked."""
    found = []
    for name, value in report.get("conditions", {}).items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {entry}" for key, entry in value.items())
        found.append((str(name), str(value)))
    return found


def conditions_text(report: Mapping[str, Any]) -> str:
    """The same in one line."""
    return "; ".join(f"{name}: {value}" for name, value in conditions_of(report))
