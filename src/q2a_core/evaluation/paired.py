"""Two reports of the same suites, item by item: what one checkpoint does and the other does not, and whether by chance.

Two intervals that overlap say little about two models that were asked the same; McNemar's test looks only at the items
in which they differ.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from q2a_core.errors import Q2AError
from q2a_core.evaluation.metrics import FALSE_YES, mcnemar

SAME = ("split", "book", "prompts")
"""Conditions that two reports must share for their items to be the same."""


def read_report(path: Path) -> dict[str, Any]:
    """A report as `q2a eval --suite mini --output` writes it. Raises Q2AError."""
    try:
        report = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise Q2AError(f"{path}: {error.strerror}; expected a report of q2a eval") from error
    except (ValueError, RecursionError) as error:
        raise Q2AError(f"{path.name} is no JSON; expected a report of q2a eval") from error
    if not isinstance(report, dict) or not isinstance(report.get("rows"), list):
        raise Q2AError(f"{path.name} is no report; expected what q2a eval --output writes")
    damage = next((what for what in map(_damage, report["rows"]) if what), _nameless(report))
    if damage is not None:
        raise Q2AError(f"{path.name} {damage}; expected what q2a eval --suite mini --output writes")
    if not any("hits" in row for row in report["rows"]):
        raise Q2AError(
            f"{path.name} tells of no single items; write it again with q2a eval --suite mini --output"
        )
    return report


def _nameless(report: Mapping[str, Any]) -> str | None:
    """What of a report's head is missing; None if nothing."""
    checkpoint = report.get("checkpoint")
    if not isinstance(checkpoint, dict) or not {"name", "hash"} <= checkpoint.keys():
        return "does not say of which checkpoint it is"
    if not isinstance(report.get("conditions"), dict):
        return "does not say how the checkpoint was asked"
    return None


def _damage(row: Any) -> str | None:
    """Why a row cannot be compared; None if it can, or tells of no single items."""
    if not isinstance(row, dict):
        return f"has {row!r:.40} among its rows"
    if "hits" not in row:
        return None
    suite, score, hits = row.get("suite"), row.get("score"), row["hits"]
    if not isinstance(suite, str) or not isinstance(row.get("metric"), str):
        return "has a row without a suite or a metric"
    n = score.get("n") if isinstance(score, dict) else None
    if type(n) is not int or n < 0:
        return f"does not say how many items {suite!r} has"
    if not isinstance(hits, list) or not all(type(hit) is int and 0 <= hit < n for hit in hits):
        return f"has hits in {suite!r} that are not among its items 0 to {n - 1}"
    return None


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """McNemar's test for each suite of both reports whose items are hit or missed. Raises Q2AError."""
    for name in SAME:
        found = [report["conditions"].get(name) for report in (first, second)]
        if found[0] != found[1]:
            raise Q2AError(
                f"the reports differ in {name}: {found[0]} and {found[1]}; expected the same items in both"
            )
    theirs = {row["suite"]: row for row in second["rows"] if "hits" in row}
    rows = []
    for row in first["rows"]:
        other = theirs.get(row["suite"]) if "hits" in row else None
        if other is None:
            continue
        n = row["score"]["n"]
        if other["score"]["n"] != n:
            raise Q2AError(
                f"{row['suite']} has {n} items in one report and {other['score']['n']} in the other; "
                "ask both with the same --count"
            )
        hits = [[place in set(side["hits"]) for place in range(n)] for side in (row, other)]
        counts = {"first": sum(hits[0]), "second": sum(hits[1]), "n": n}
        rows.append(
            {"suite": row["suite"], "metric": row["metric"], **counts} | asdict(mcnemar(*hits))
        )
    if not rows:
        raise Q2AError("the reports have no suite in common whose items are hit or missed")
    return {"first": first["checkpoint"], "second": second["checkpoint"], "rows": rows}


def compare_table(report: Mapping[str, Any]) -> str:
    """The comparison as a table; p is two-sided and exact."""
    names = [f"{report[side]['name']} ({report[side]['hash']})" for side in ("first", "second")]
    lines = [
        f"| suite | counted | {names[0]} | {names[1]} | first alone | second alone | n | p |",
        "| --- " * 8 + "|",
    ]
    for row in report["rows"]:
        counted = "said yes" if row["metric"] == FALSE_YES else "right"
        lines.append(
            f"| {row['suite']} | {counted} | {row['first']} | {row['second']} | {row['only_first']} "
            f"| {row['only_second']} | {row['n']} | {row['p']:.2g} |"
        )
    return "\n".join(lines) + "\n"
