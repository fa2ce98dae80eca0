"""`q2a doctor --workshop`: the usual checks, those of a classroom, and how long every lesson will run here.

What a participant sends back before the day is one line: OK or FAIL, a code, the pace and the slowest lesson. The code
is a short hash of the findings, without what changes from hour to hour or bears a user's name: machines that are set up
alike show the same.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from q2a_core.progress import OnProgress, unheard
from q2a_core.teaching.lesson_times import (
    Prediction,
    listening_pace,
    predict,
    read_times,
    times_file,
    training_pace,
)
from q2a_core.teaching.readiness import classroom
from q2a_core.teaching.readiness.doctor import Check, format_check, guarded, healthy, run_doctor
from q2a_core.teaching.readiness.speed import STEPS, Speed, is_busy, machine, measure_speed

PASSING = (
    *("cache folder", "runs folder", "free disk", "port", "notebook port", "cores"),
    *("speed test", "lesson times"),
)
"""Findings that change from hour to hour or from user to user; of them, only whether they are well is in the code."""
STEPS_OF_CLASS: tuple[tuple[str, Callable[[], Check]], ...] = (
    ("JupyterLab", lambda: classroom.check_jupyterlab()),
    ("kernel", lambda: classroom.check_kernel()),
    ("widgets", lambda: classroom.check_widgets()),
    ("notebook port", lambda: classroom.check_notebook_port()),
    ("sound", lambda: classroom.check_sound()),
)


@dataclass(frozen=True, kw_only=True)
class WorkshopReport:
    """Everything that was found."""

    checks: list[Check]
    speed: Speed | None
    """None where the speed test failed."""
    predictions: list[Prediction]
    """Empty where the speed test failed or no reference could be read."""
    pace: float | None
    """How many times longer training takes here than where the lessons were timed."""

    @property
    def ok(self) -> bool:
        """Whether this machine can take part."""
        return healthy(self.checks)

    @property
    def code(self) -> str:
        """Eight hexadecimal digits of the findings."""
        kept = [
            [check.name, check.ok, "" if check.name in PASSING else check.found]
            for check in self.checks
        ]
        return hashlib.sha256(json.dumps(kept).encode()).hexdigest()[:8]

    @property
    def line(self) -> str:
        """What a participant sends back."""
        parts = [f"Q2A {'OK' if self.ok else 'FAIL'} {self.code}"]
        broken = [check.name for check in self.checks if check.ok is False]
        if broken:
            parts.append("fix " + ", ".join(broken))
        if self.pace is not None:
            parts.append(f"pace {self.pace:.1f}")
        inside = [item for item in self.predictions if item.lesson.class_minutes]
        if inside:
            slowest = max(inside, key=lambda item: item.seconds)
            parts.append(f"slowest {slowest.lesson.number} in {slowest.seconds:.0f} s")
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "ok": self.ok,
            "code": self.code,
            "line": self.line,
            "pace": self.pace,
            "speed": self.speed.to_dict() if self.speed else None,
            "lessons": [
                {
                    "number": item.lesson.number,
                    "title": item.lesson.title,
                    "seconds": round(item.seconds, 1),
                    "stated_seconds": item.lesson.run_seconds,
                    "class_minutes": item.lesson.class_minutes,
                    "measured": item.measured,
                    "fits": item.fits,
                }
                for item in self.predictions
            ],
            "checks": [asdict(check) for check in self.checks],
        }


def run_workshop_doctor(
    *,
    on_check: Callable[[Check], None] = lambda check: None,
    on_progress: OnProgress = unheard,
) -> WorkshopReport:
    """All checks and the speed test, under a minute in all; `on_progress` counts its training steps."""
    checks = run_doctor(on_check=on_check)
    for name, step in STEPS_OF_CLASS:
        checks.append(guarded(name, step))
        on_check(checks[-1])
    measured: list[Speed] = []
    predictions: list[Prediction] = []
    paces: list[float] = []

    def speed_test() -> Check:
        before = machine()
        measured.append(measure_speed(on_progress=on_progress))
        check = Check(name="speed test", ok=True, found=_in_words(measured[0]))
        if not is_busy(before):
            return check
        advice = (
            f"other programs were computing (load {before['load']} on {before['cores']} cores), so everything below "
            "is too long; close them and run this again"
        )
        return replace(check, ok=None, advice=advice)

    def lesson_times() -> Check:
        if not measured:
            return Check(name="lesson times", ok=None, found="not predicted", advice="see above")
        if not times_file().is_file():
            advice = "for authors, on a quiet machine: q2a lesson time"
            return Check(name="lesson times", ok=None, found="no times ship yet", advice=advice)
        times = read_times()
        there = Speed.from_dict(times["speed"])
        paces.append(training_pace(measured[0], there))
        predictions.extend(predict(times, measured[0]))
        check = _lesson_check(predictions, paces[0], listening_pace(measured[0], there))
        if not is_busy(times["machine"]):
            return check
        advice = "the lessons were timed on a busy machine, so this says little; for authors: q2a lesson time"
        return replace(check, ok=None, advice=advice)

    for name, step in (("speed test", speed_test), ("lesson times", lesson_times)):
        checks.append(guarded(name, step))
        on_check(checks[-1])
    return WorkshopReport(
        checks=checks,
        speed=measured[0] if measured else None,
        predictions=predictions,
        pace=paces[0] if paces else None,
    )


def format_report(report: WorkshopReport) -> str:
    """Checks, the table of lessons, and the line to send back."""
    lines = [format_check(check) for check in report.checks]
    if report.predictions:
        lines += ["", f"{'lesson':<30}{'runs here':>11}{'stated':>9}{'in class':>10}"]
        lines += [_row(item) for item in report.predictions]
        if not all(item.measured for item in report.predictions):
            lines.append("* not timed yet: the stated time, scaled")
    lines += ["", "send this line back:", report.line]
    return "\n".join(lines)


def _row(item: Prediction) -> str:
    lesson = item.lesson
    title = f"{lesson.number} {lesson.title}{'' if item.measured else ' *'}"
    stay = f"{lesson.class_minutes} min" if lesson.class_minutes else "at home"
    slow = "" if item.fits else "  too slow for class"
    return f"{title:<30}{f'{item.seconds:.0f} s':>11}{f'{lesson.run_seconds} s':>9}{stay:>10}{slow}"


def _in_words(speed: Speed) -> str:
    return (
        f"{STEPS} training steps of {speed.train_step * 1000:.0f} ms; a notebook starts in {speed.start:.1f} s; "
        f"{1 / speed.decode:.0f} tokens/s"
    )


def _lesson_check(predictions: list[Prediction], training: float, listening: float) -> Check:
    late = [item.lesson.number for item in predictions if not item.fits]
    found = f"training takes {training:.1f} times, listening {listening:.1f} times as long as where it was timed"
    check = Check(name="lesson times", ok=True, found=found)
    if not late:
        return check
    advice = (
        f"too slow for class: {', '.join(late)}; close other programs, plug in the power, and run this again; "
        "or share a faster machine for these"
    )
    return replace(check, ok=False, advice=advice)
