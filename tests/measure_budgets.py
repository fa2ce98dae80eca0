"""Measure what a class's budget gives: `python tests/measure_budgets.py --output budgets.json`.

Each stage runs as a student starts it, `q2a train STAGE --budget class`, from the shipped checkpoint of the stage
before, and one figure is taken before and after on held-out clips, with 95 % intervals:

    pretrain   everyday sounds named right, from mini-start, whose ear and tongue have never met
    sft        the right kind of reply to a clip alone, from mini-pretrain
    dpo        held-out mistakes of mini-sft in which the better reply has become the likelier one
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from q2a_core.checkpoint import open_checkpoint
from q2a_core.evaluation.metrics import Score, accuracy
from q2a_core.training.runs.expected import keep_class_run
from q2a_core.training.runs.runlog import read_log

TRAINING_BAR, COMMAND_BAR = 75.0, 120.0
"""Seconds of training, and of the whole command with what it has to speak and to sample first."""
SPEED_STEPS = 100
STARTS = {"pretrain": "mini-start", "sft": "mini-pretrain", "dpo": "mini-sft"}
SUITES = {"pretrain": "everyday sound", "sft": "mode: kind of reply"}


def suite_scores(stage: str, count: int, *checkpoints: str) -> list[Score]:
    """The stage's suite on each checkpoint."""
    from q2a_core.evaluation.mini_suites import suites_named
    from q2a_core.evaluation.mini_table import evaluate_mini

    suites = suites_named([SUITES[stage]])
    scores = []
    for name in checkpoints:
        report = evaluate_mini(open_checkpoint(name), count=count, suites=suites, controls=False)
        row = report["rows"][0]["score"]
        scores.append(Score(**{key: row[key] for key in ("value", "low", "high", "n")}))
    return scores


def preference_scores(count: int, before: str, after: str) -> list[Score]:
    """Share of held-out pairs in which the better reply is the likelier one; the pairs are the start's own mistakes."""
    from q2a_core.training.data import preference_corpus
    from q2a_core.training.preference.pair_report import report_pairs
    from q2a_core.training.preference.sampled_pairs import Sampling, sample_pairs
    from q2a_core.training.stages import CLASS_BUDGET, dpo

    start = open_checkpoint(before)
    # another seed: other phrases, scenes and voices than the run has
    corpus = preference_corpus(dpo(**{**CLASS_BUDGET["dpo"], "seed": 991}))
    pairs = sample_pairs(
        start.load_model(), start.chat_format, corpus, count=count, sampling=Sampling(seed=991)
    )
    found = report_pairs(start, open_checkpoint(after), pairs)
    return [
        accuracy((found.chosen_before > found.rejected_before).tolist()),
        accuracy((found.chosen_after > found.rejected_after).tolist()),
    ]


def training_seconds(log: Path) -> float:
    """What the steps took, from the rates in the log."""
    records = read_log(log)
    settings = next(record["stage"] for record in records if record["kind"] == "run")
    dialogues = settings["batch_size"] * settings["accumulate"]
    rates = {r["step"]: r["clips_per_second"] for r in records if r["kind"] == "step"}
    spent, step = 0.0, max(rates)
    while step > 0:  # a line tells the mean speed of the last hundred steps, or of all so far
        before = max((s for s in rates if s <= step - SPEED_STEPS), default=0)
        spent += (step - before) * dialogues / rates[step]
        step = before
    return spent


def measure(stage: str, count: int, folder: Path, record: Path | None) -> dict[str, Any]:
    """Run the stage at class budget; its seconds, and the figure before and after; its log goes to `record`."""
    run = folder / stage
    command = [sys.executable, "-m", "q2a_core.cli", "train", stage, "--budget", "class"]
    began = time.perf_counter()
    subprocess.run([*command, "--run", str(run)], check=True)
    whole = time.perf_counter() - began
    log = run / "log.jsonl"
    if record is not None:
        keep_class_run(run, record / f"{stage}.json")
    ask: Callable[..., list[Score]] = preference_scores
    arguments: tuple[Any, ...] = (count,)
    if stage in SUITES:
        ask, arguments = suite_scores, (stage, count)
    before, after = ask(*arguments, STARTS[stage], str(run / "checkpoint"))
    return {
        "stage": stage,
        "what": SUITES.get(stage, "held-out pairs preferred"),
        "steps": max(record["step"] for record in read_log(log) if record["kind"] == "step"),
        "training_seconds": round(training_seconds(log), 1),
        "command_seconds": round(whole, 1),
        "before": {name: getattr(before, name) for name in ("value", "low", "high", "n")},
        "after": {name: getattr(after, name) for name in ("value", "low", "high", "n")},
        "apart": before.high < after.low or after.high < before.low,
    }


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    spans = [
        "{value:.1%} ({low:.1%} to {high:.1%}, n {n})".format(**row[side])
        for side in ("before", "after")
    ]
    times = f"{row['training_seconds']:.0f} s, whole command {row['command_seconds']:.0f} s"
    quick = row["training_seconds"] <= TRAINING_BAR and row["command_seconds"] <= COMMAND_BAR
    verdict = "met" if quick and row["apart"] else "missed"
    return f"{row['stage']}: {row['what']} {spans[0]} -> {spans[1]}; {row['steps']} steps in {times}: {verdict}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--stages", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument("--count", type=int, default=120, help="held-out clips, or a multiple")
    parser.add_argument("--output", type=Path, help="write the numbers here as JSON")
    parser.add_argument("--record", type=Path, help="keep the runs' logs in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for stage in options.stages:
            rows.append(measure(stage, options.count, Path(folder), options.record))
            print(line(rows[-1]), flush=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    if options.output:
        report = {"machine": machine, "rows": rows}
        options.output.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0 if all("met" in line(row) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
