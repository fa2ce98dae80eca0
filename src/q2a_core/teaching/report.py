"""The capstone's one-page report: what was trained, what it scored, under which conditions, and what that does not say.

It is made of an evaluation record (`evaluate_mini`, or a `results.json`) and of the checkpoint or run that the record
is about; a record of other weights is refused. No figure comes from anywhere else.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from q2a_core import paths
from q2a_core.checkpoint import Checkpoint, open_checkpoint
from q2a_core.checkpoint.describe import describe
from q2a_core.errors import Q2AError
from q2a_core.evaluation.metrics import LOWER_IS_BETTER
from q2a_core.evaluation.results_file import conditions_of, figure_text
from q2a_core.evaluation.tables import without_errors
from q2a_core.files import write_whole
from q2a_core.teaching.page import Page, Section, Table
from q2a_core.training.runs.folders import known_runs, run_folder
from q2a_core.training.runs.follow import LogReader, names_in, series
from q2a_core.training.runs.layout import CHECKPOINT, LOG_FILE

EXAMPLES = 6
"""Replies on the page."""
ENDS = 3
"""Lines of the log whose median stands for the beginning and the end of a curve."""
SETTINGS = ("steps", "start", "batch_size", "accumulate", "optimizer", "learning_rate", "seed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What a report is about."""

    checkpoint: Checkpoint
    records: list[dict[str, Any]]
    """Its training log; [] where none was kept."""


def subject_of(source: str | Path) -> Subject:
    """A shipped name, a checkpoint directory, one of the user's runs by name, or a run's folder. Raises Q2AError."""
    if isinstance(source, str) and source in known_runs():
        source = run_folder(source)
    folder = Path(source)
    if (folder / CHECKPOINT / "config.json").is_file():
        return Subject(
            checkpoint=open_checkpoint(folder / CHECKPOINT), records=_log(folder / LOG_FILE)
        )
    if (folder / LOG_FILE).is_file():
        raise Q2AError(
            f"the run {folder.name} has no checkpoint yet; let it end, or stop it, and try again"
        )
    checkpoint = open_checkpoint(source)
    return Subject(
        checkpoint=checkpoint, records=_log(checkpoint.directory / "training" / LOG_FILE)
    )


def report_page(record: Mapping[str, Any], source: str | Path) -> Page:
    """The report on one evaluation. Raises Q2AError for a record that is none, or of other weights."""
    subject = subject_of(source)
    checkpoint = subject.checkpoint
    _check(record, checkpoint)
    about = (
        Section(heading="What it is", parts=(_about(checkpoint),)),
        Section(heading="How it was trained", parts=_training(subject)),
    )
    try:
        found = (
            Section(heading="What it scored", parts=(_results(record), _reading(record))),
            Section(heading="What it said", parts=_examples(record)),
            Section(heading="Conditions", parts=(_conditions(record),)),
            Section(heading="What this does not say", parts=_limits(record)),
        )
        return Page(title=f"Report on {record['checkpoint']['name']}", sections=about + found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # the record is a file that anybody can have edited
        raise Q2AError(
            f"the evaluation record is damaged ({type(error).__name__}: {error}); evaluate again, or take the record "
            "as it was written"
        ) from error


def write_report(
    record: Mapping[str, Any], source: str | Path, *, folder: Path | None = None
) -> tuple[Path, Path]:
    """Write the report as Markdown and HTML into the user's lessons folder; returns both files. Raises Q2AError."""
    page = report_page(record, source)
    folder = folder or paths.lessons_dir()
    stem = f"report-{record['checkpoint']['hash']}"
    written = folder / f"{stem}.md", folder / f"{stem}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(written, (page.markdown(), page.html()), strict=True):
            write_whole(path, text)
    except OSError as error:
        raise Q2AError(f"the report cannot be written to {folder}: {error.strerror}") from error
    return written


def above_control(row: Mapping[str, Any]) -> bool | None:
    """Whether a suite's interval is clear of its control's, on the good side; None without a control or interval."""
    control, score = row.get("control"), row["score"]
    if not control or any(
        not _is_finite(s[end]) for s in (score, control) for end in ("low", "high")
    ):
        return None
    if row["metric"] in LOWER_IS_BETTER:
        return bool(score["high"] < control["low"])
    return bool(score["low"] > control["high"])


def _check(record: Mapping[str, Any], checkpoint: Checkpoint) -> None:
    try:
        hash_ = record["checkpoint"]["hash"]
        for row in record["rows"]:
            str(row["suite"] + row["metric"])
            [row["score"][key] for key in ("value", "low", "high", "n")]
    except (KeyError, TypeError) as error:
        raise Q2AError(
            "this is no evaluation record; expected what evaluate_mini returns or q2a eval --output writes"
        ) from error
    if not record["rows"]:
        raise Q2AError("the evaluation record has no rows; ask at least one suite")
    if hash_ != checkpoint.hash:
        raise Q2AError(
            f"the record is about weights {hash_}, the checkpoint {checkpoint.name} has {checkpoint.hash}; "
            "evaluate that checkpoint first"
        )


def _log(path: Path) -> list[dict[str, Any]]:
    reader = LogReader(path)
    reader.refresh()
    return reader.records


def _about(checkpoint: Checkpoint) -> str:
    about = checkpoint.about
    size = describe(checkpoint.directory)["parameters"]
    sentence = f"{checkpoint.name}, weights {checkpoint.hash}, {size:,} parameters"
    if about.get("stage"):
        sentence += f", stage {about['stage']}"
    if about.get("clips"):
        sentence += f", {about['clips']:,} clips seen in all its stages"
    if about.get("trained_on"):
        sentence += f"; trained on {about['trained_on']}"
    start = about.get("start") or {}
    if start.get("name"):
        sentence += f"; it went on from {start['name']} ({start.get('hash')})"
    return sentence + "."


def _training(subject: Subject) -> tuple[str | Table, ...]:
    if not subject.records:
        return ("No training log lies beside it, so nothing can be said about the curve.",)
    begun = [r["stage"] for r in subject.records if r.get("kind") == "run" and r.get("stage")]
    settings = begun[-1] if begun else {}
    rows = [(name.replace("_", " "), str(settings[name])) for name in SETTINGS if name in settings]
    parts: list[str | Table] = (
        [Table(header=("setting", "value"), rows=tuple(rows))] if rows else []
    )
    for name in names_in(subject.records)[:1]:
        steps, values = series(subject.records, name)
        ends = min(ENDS, len(values))
        first, last = (float(np.median(part)) for part in (values[:ends], values[-ends:]))
        parts.append(
            f"{name}: {first:.3f} at steps {steps[0]} to {steps[ends - 1]}, {last:.3f} at steps {steps[-ends]} to "
            f"{steps[-1]} (medians of {ends} lines of the log)."
        )
    return tuple(parts)


def _results(record: Mapping[str, Any]) -> Table:
    rows = []
    for row in record["rows"]:
        score, metric, control = row["score"], row["metric"], row.get("control")
        heard = above_control(row)
        rows.append(
            (
                row["suite"],
                metric,
                figure_text(score["value"], metric),
                f"{figure_text(score['low'], metric)} to {figure_text(score['high'], metric)}",
                str(score["n"]),
                figure_text(control["value"], metric) if control else "not asked",
                "" if heard is None else "yes" if heard else "not shown",
            )
        )
    header = ("suite", "metric", "score", "95 % interval", "clips", "clips swapped", "it listens")
    return Table(header=header, rows=tuple(rows))


def _reading(record: Mapping[str, Any]) -> str:
    heard = [above_control(row) for row in record["rows"]]
    asked = [found for found in heard if found is not None]
    if not asked:
        return "No suite has a control, so none of these figures shows that the model listens."
    return (
        f"In {sum(asked)} of {len(asked)} suites with a control the interval is clear of what the same questions score "
        "with other clips: there the reply depends on the sound. Lower is better for WER and CER."
    )


def _examples(record: Mapping[str, Any]) -> tuple[str | Table, ...]:
    """Mistakes first: they say more than what went right."""
    examples = list(record.get("examples", ()))
    if not examples:
        return ("The record holds no replies.",)
    wrong = [row for row in examples if row["reply"].strip() != row["true"].strip()]
    right = [row for row in examples if row["reply"].strip() == row["true"].strip()]
    shown = _across_suites(wrong)[: EXAMPLES - min(2, len(right))]
    shown += _across_suites(right)[: EXAMPLES - len(shown)]
    table = Table(
        header=("suite", "question", "true", "reply"),
        rows=tuple(
            (str(row["suite"]), str(row["question"] or "(in the clip)"), row["true"], row["reply"])
            for row in shown
        ),
    )
    return (
        f"{len(wrong)} of the {len(examples)} kept replies are not the expected words; some of them come first here.",
        table,
    )


def _across_suites(examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of each suite, then the second of each, and so on."""
    seen: dict[str, int] = {}
    places = []
    for row in examples:
        places.append(seen.get(row["suite"], 0))
        seen[row["suite"]] = places[-1] + 1
    order = sorted(range(len(examples)), key=lambda place: places[place])
    return [examples[place] for place in order]


def _conditions(record: Mapping[str, Any]) -> Table:
    rows = conditions_of(record)
    signatures = {row["score"].get("signature") for row in record["rows"]} - {None}
    rows += [("BLEU signature", str(signature)) for signature in sorted(signatures)]
    return Table(header=("condition", "value"), rows=tuple(rows) or (("none", "none recorded"),))


def _limits(record: Mapping[str, Any]) -> tuple[str, ...]:
    fewest = min(row["score"]["n"] for row in record["rows"])
    texts = [
        "The clips are synthetic voices, sounds and music: nothing follows for real recordings.",
        f"The smallest suite has {fewest} clips. Two figures whose intervals overlap are not told apart.",
        "The intervals resample clips. They do not cover another training run, another seed or another wording.",
    ]
    texts += without_errors(record)
    bare = [row["suite"] for row in record["rows"] if not row.get("control")]
    if bare:
        texts.append(f"Without a control: {', '.join(bare)}.")
    return tuple(texts)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
