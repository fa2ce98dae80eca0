"""Markdown of a report beside the paper's Table 2, and the place in README.md that it is written to.

The paper's figures are of other test sets, voices and sounds: they are labelled "paper" and stand there to show what is
measured, not to be compared with. A misprint is struck out, with what should stand there behind it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from q2a_core.errors import Q2AError
from q2a_core.evaluation.metrics import unseen_errors
from q2a_core.evaluation.paper_figures import OURS, PAPER, RERUN, PaperRow
from q2a_core.evaluation.results_file import conditions_text, figure_text
from q2a_core.files import write_whole

START, END = "<!-- results -->", "<!-- /results -->"
_RATES = ("WER", "CER")

BESIDE: dict[str, tuple[str, str]] = {
    "recognition": ("librispeech", "test-clean"),
    "recognition at 5 dB": ("librispeech", "test-other"),
    "recognition, Chinese": ("fleurs", "zh"),
    "translation en-de": ("covost_en", "en-de"),
    "translation de-en": ("covost_en", "de-en"),
    "translation en-zh": ("covost_en", "en-zh"),
    "translation zh-en": ("covost_en", "zh-en"),
    "emotion": ("meld", "test"),
    "vocal sound": ("vocalsound", "test"),
    "mini AIR-Bench, speech": ("air_bench", "speech"),
    "mini AIR-Bench, sound": ("air_bench", "sound"),
    "mini AIR-Bench, music": ("air_bench", "music"),
    "mini AIR-Bench, mixed": ("air_bench", "mixed"),
}
"""Which of our suites measures what which column of Table 2 measures."""


def report_table(
    report: Mapping[str, Any], *, beside: Mapping[str, tuple[str, str]] = BESIDE
) -> str:
    """The rows of a report (suite, metric, score, and control where there is one) with the paper's column beside."""
    lines = [
        "| suite | metric | score (95 %) | clips swapped | n | paper: set | paper: Qwen2-Audio | official re-run |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in report["rows"]:
        score, metric = row["score"], row["metric"]
        low, high = (figure_text(score[name], metric) for name in ("low", "high"))
        control = row.get("control")
        cells = [
            row["suite"] + _language(row),
            metric,
            f"{figure_text(score['value'], metric)} ({low} to {high})",
            figure_text(control["value"], metric) if control else "",
            str(score["n"]),
            *paper_cells(*beside.get(row["suite"], ("", ""))),
        ]
        lines.append("| " + " | ".join(_escaped(cell) for cell in cells) + " |")
    signatures = {
        row["score"]["signature"] for row in report["rows"] if "signature" in row["score"]
    }
    if signatures:
        lines += ["", "BLEU: " + "; ".join(f"`{name}`" for name in sorted(signatures)) + "."]
    lines += [text for sentence in without_errors(report) for text in ("", sentence)]
    lines += ["", _conditions(report)]
    return "\n".join(lines) + "\n"


def without_errors(report: Mapping[str, Any]) -> list[str]:
    """What an error rate of 0 does not say: a sentence for each such row, since its interval has no width."""
    return [
        f"{row['suite']}: no error in {row['score']['n']} clips. Resampling them cannot show one either; by the rule "
        f"of three up to {unseen_errors(row['score']['n']):.1%} of such clips may hold one."
        for row in report["rows"]
        if row["metric"] in _RATES and row["score"]["value"] == 0 and row["score"]["n"]
    ]


def judge_table(marks: Mapping[str, Any]) -> str:
    """What an outside judge gave, by category: the replies, the true answers, and what the first place gains."""
    lines = ["| suite | replies | true answers | lead of the first place | n |", "| --- " * 5 + "|"]
    for row in marks["rows"]:
        score, reference = row["score"], row["reference"]
        lines.append(
            f"| {row['suite']} | {score['value']:.2f} ({score['low']:.2f} to {score['high']:.2f}) "
            f"| {reference['value']:.2f} | {row['lead_of_first']['value']:+.2f} | {score['n']} |"
        )
    counts = ", ".join(f"{number} {name}" for name, number in marks["counts"].items())
    told = "; ".join(f"{name}: {value}" for name, value in marks["conditions"].items())
    lines += [
        "",
        f"Judge: {marks['judge']['model']} at {marks['judge']['host']}; {counts}; {told}.",
    ]
    return "\n".join(lines) + "\n"


def paper_table() -> str:
    """Table 2 whole, one line for each system and test set, misprints struck out, remarks below."""
    lines = [
        "| paper: set | metric | columns | system | result |",
        "| --- | --- | --- | --- | --- |",
    ]
    notes = []
    for row in PAPER.values():
        for system in row.results:
            name = f"**{system}**" if system == OURS else system
            results = " / ".join(printed(row, system, column) for column in row.columns)
            columns = " / ".join(row.columns)
            lines.append(f"| {row.name} | {row.metric} | {columns} | {name} | {results} |")
        if row.note:
            notes.append(f"- {row.name}, {' / '.join(row.columns)}: {row.note}.")
    remark = "Struck-out figures are printed in the paper and wrong; the right one stands behind."
    return "\n".join([*lines, "", remark, "", *notes]) + "\n"


def printed(row: PaperRow, system: str, column: str) -> str:
    """One printed figure, struck out and corrected where it is a misprint; a dash where none is printed."""
    value = row.results[system][row.columns.index(column)]
    if value is None:
        return "-"
    right = row.corrections.get((system, column))
    text = _paper_figure(value, row.metric)
    return text if right is None else f"~~{text}~~ {_paper_figure(right, row.metric)}"


def write_results(readme_path: str | Path, markdown: str) -> None:
    """Put Markdown between the two results markers of a README, whole or not at all.

    Raises Q2AError unless the markers are there once each, in order.
    """
    path = Path(readme_path).resolve()
    text = read_with_marks(path)
    if START in markdown or END in markdown:
        raise Q2AError("the results hold a results marker themselves; expected a table")
    before, rest = text.split(START)
    newline = "\r\n" if "\r\n" in text else "\n"
    block = newline.join([START, *markdown.strip("\n").splitlines(), END])
    try:
        write_whole(path, before + block + rest.split(END)[1])
    except OSError as error:
        raise Q2AError(
            f"{path.name} could not be written: {error.strerror}; it is unchanged"
        ) from error


def read_with_marks(readme_path: str | Path) -> str:
    """The text of a README that `write_results` can write into. Raises Q2AError for any other."""
    path = Path(readme_path).resolve()
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Q2AError(f"{path.name} cannot be read: {error}; expected a README") from error
    if text.count(START) != 1 or text.count(END) != 1 or text.index(START) > text.index(END):
        raise Q2AError(f"{path.name} does not hold {START} and {END} once each, in this order")
    return text


def paper_cells(name: str, column: str) -> list[str]:
    """The paper's test set, its Qwen2-Audio and the re-run, as printed; empty where nothing measures the same."""
    if name not in PAPER:
        return ["", "", ""]
    row = PAPER[name]
    return [
        f"{row.name} {column} ({row.metric})",
        printed(row, OURS, column),
        printed(row, RERUN, column),
    ]


def _paper_figure(value: float, metric: str) -> str:
    if metric == "ACC":
        return f"{value:.1%}"
    return (
        f"{value:.1f}%"
        if metric in _RATES
        else f"{value:.2f}"
        if metric == "GPT-4"
        else f"{value:.1f}"
    )


def _conditions(report: Mapping[str, Any]) -> str:
    """Which checkpoint, and everything that the report says about how it was asked."""
    checkpoint = report["checkpoint"]
    named = f"Checkpoint {checkpoint['name']} ({checkpoint['hash']})"
    return "; ".join(filter(None, (named, conditions_text(report)))) + "."


def _language(row: Mapping[str, Any]) -> str:
    return f", {row['language']}" if "language" in row else ""


def _escaped(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").split())
