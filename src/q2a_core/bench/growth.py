"""How cost grows: with the length of a clip, with the size of a training batch, and what a whole process takes.

Transformers pads every clip to its window, so its side is nearly flat where ours follows the sound. Memory is the peak
that the system counts for a fresh process which opens the checkpoint and answers one clip.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from q2a_core.bench.gate import check_pair
from q2a_core.bench.pair import (
    Pair,
    noise_clip,
    open_pair,
    our_prompt,
    our_tokens,
    their_prompt,
    their_tokens,
)
from q2a_core.bench.timing import alternate, seconds_of
from q2a_core.bench.training_step import make_batch, training_steps
from q2a_core.errors import Q2AError
from q2a_core.machine import machine
from q2a_core.progress import OnProgress, unheard

SECONDS = (1.0, 3.0, 10.0, 30.0)
"""Of the clips; the longest is cut to the model's window."""
BATCH_SIZES = (1, 2, 4, 8)
TRAINING_SECONDS = 3.0
SIDES = ("ours", "other")


def run_growth(
    checkpoint: str | Path | None = "mini",
    *,
    repeats: int = 3,
    threads: int | None = None,
    seconds: Sequence[float] = SECONDS,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    on_progress: OnProgress = unheard,
) -> dict[str, Any]:
    """Both sides at each clip length and batch size, medians of `repeats` runs turn about; a JSON-ready report.

    Raises Q2AError as `open_pair` does, and before anything is timed if the sides do not compute the same.
    """
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads or before)
        pair = open_pair(checkpoint)
        gate = check_pair(pair, seconds=min(TRAINING_SECONDS, pair.window_seconds), new_tokens=1)
        lengths = sorted({min(length, pair.window_seconds) for length in seconds})
        total, done = len(lengths) + len(batch_sizes) + 1, 0
        first_token, training = [], []
        for length in lengths:
            first_token.append(_first_token(pair, length, repeats))
            done += 1
            on_progress(done, total)
        for size in batch_sizes:
            training.append(_training(pair, size, repeats))
            done += 1
            on_progress(done, total)
        memory = process_memory(checkpoint)
        on_progress(total, total)
    finally:
        torch.set_num_threads(before)
    return {
        "checkpoint": {"name": pair.name, "hash": pair.hash},
        "machine": machine(threads=threads or before),
        "gate": gate,
        "repeats": repeats,
        "first_token_seconds": first_token,
        "training_clips_per_second": training,
        "training_clip_seconds": min(TRAINING_SECONDS, pair.window_seconds),
        "process_memory_bytes": memory,
    }


def _first_token(pair: Pair, length: float, repeats: int) -> dict[str, float]:
    samples = noise_clip(length)
    figures = alternate(
        seconds_of(lambda: next(our_tokens(pair, our_prompt(pair, samples), new_tokens=1))),
        seconds_of(lambda: their_tokens(pair, their_prompt(pair, samples), new_tokens=1)),
        rounds=repeats,
        tick=lambda: None,
    )
    return {
        "seconds": length,
        **{side: median(runs) for side, runs in zip(SIDES, figures, strict=True)},
    }


def _training(pair: Pair, size: int, repeats: int) -> dict[str, float]:
    batch = make_batch(pair, batch_size=size, seconds=min(TRAINING_SECONDS, pair.window_seconds))
    ours, theirs = training_steps(pair, batch)
    figures = alternate(seconds_of(ours), seconds_of(theirs), rounds=repeats, tick=lambda: None)
    return {
        "batch_size": size,
        **{side: size / median(runs) for side, runs in zip(SIDES, figures, strict=True)},
    }


def process_memory(checkpoint: str | Path | None) -> dict[str, int] | None:
    """Peak resident bytes of a fresh process for each side; None for random weights and where the system won't tell."""
    if checkpoint is None or sys.platform == "win32":
        return None
    peaks = {}
    for side in SIDES:
        command = [sys.executable, "-m", "q2a_core.bench.one_reply", side, str(checkpoint)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Q2AError(
                f"the process that measures memory failed: {(done.stderr.strip() or 'no word').splitlines()[-1]}"
            )
        peaks[side] = int(done.stdout.split()[-1])
    return peaks


def to_markdown(report: dict[str, Any]) -> str:
    """Both curves as tables, and the processes' memory."""
    host = report["machine"]
    lines = [
        f"Growth on {report['checkpoint']['name']} ({report['checkpoint']['hash']}); {host['processor']}, torch on "
        f"{host['threads']} threads; torch {host['torch']}, transformers {host['transformers']}; medians of "
        f"{report['repeats']}, turn about",
        "",
        "| clip | first token: q2a | transformers | ratio |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for row in report["first_token_seconds"]:
        lines.append(
            f"| {row['seconds']:g} s | {row['ours'] * 1e3:.3g} ms | {row['other'] * 1e3:.3g} ms | "
            f"{row['other'] / row['ours']:.1f} |"
        )
    lines += [
        "",
        f"| clips of {report['training_clip_seconds']:g} s in a batch | training: q2a | transformers | ratio |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for row in report["training_clips_per_second"]:
        lines.append(
            f"| {row['batch_size']} | {row['ours']:.3g} clips/s | {row['other']:.3g} clips/s | "
            f"{row['ours'] / row['other']:.1f} |"
        )
    if report["process_memory_bytes"]:
        ours, other = (report["process_memory_bytes"][side] / 1e6 for side in SIDES)
        lines += [
            "",
            f"Peak memory of a process that answers one clip: {ours:.0f} MB, transformers {other:.0f} MB.",
        ]
    return "\n".join(lines)
