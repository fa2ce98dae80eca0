"""Whether a certificate's record can be: of exercises that exist, with counts that add up."""

import re
from typing import Any

from q2a_core.teaching.checks import exercises_of
from q2a_core.teaching.course import LESSONS

KEYS = {"course", "version", "name", "date", "passed", "class_checks", "quiz"}


def record_fault(record: dict[str, Any]) -> str:
    """What is impossible about a record, in words; "" if it can be.

    A record of an older version may have had other exercises in class, so what it counted need not be today's number.
    """
    if set(record) != KEYS:
        return f"it has the entries {', '.join(map(str, record)) or 'none'}; expected {', '.join(sorted(KEYS))}"
    for key in ("course", "version", "name", "date"):
        if not isinstance(record[key], str):
            return f"its {key} is no text"
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", record["date"]):
        return f"its date is {record['date']!r}"
    passed = record["passed"]
    if not isinstance(passed, list) or not all(isinstance(name, str) for name in passed):
        return "its exercises are no list of names"
    known = {exercise.id: item for item in LESSONS for exercise in exercises_of(item.number)}
    unknown = [name for name in passed if name not in known]
    if unknown:
        return f"there is no exercise {unknown[0]!r}"
    if len(set(passed)) != len(passed):
        return "an exercise is listed twice"
    fault = _count_fault(record["class_checks"], "passed", "class checks")
    if fault:
        return fault
    in_class = sum(bool(known[name].class_minutes) for name in passed)
    if record["class_checks"]["passed"] != in_class:
        return f"{record['class_checks']['passed']} class checks passed, and {in_class} are listed"
    return _count_fault(record["quiz"], "right", "quiz") if record["quiz"] is not None else ""


def _count_fault(counts: Any, part: str, what: str) -> str:
    if not isinstance(counts, dict) or set(counts) != {part, "of"}:
        return f"its {what} are no counts"
    if any(type(value) is not int for value in counts.values()):
        return f"its {what} are no whole numbers"
    if not 0 <= counts[part] <= counts["of"]:
        return f"{counts[part]} of {counts['of']} in its {what}"
    return ""
