"""The whole pipeline beside transformers: first token, decoding, training, log-mel, and a ragged batch.

Every row runs its two sides turn about in one process, so that a busy machine slows both, and reports medians.
Nothing is timed before `gate.check_pair` has found both sides to compute the same.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from q2a_core.bench import pipeline_rows as row
from q2a_core.bench.gate import check_pair
from q2a_core.bench.pair import Pair, open_pair
from q2a_core.bench.pipeline_rows import BATCH_SIZE, CLIP_SECONDS, LONG_SECONDS, NEW_TOKENS, Run
from q2a_core.bench.report import ROWS, check_counts, named
from q2a_core.machine import available_cores, machine
from q2a_core.progress import OnProgress, unheard


def run_pipeline(
    *,
    checkpoint: str | Path | None = "mini",
    repeats: int = 5,
    threads: int | None = None,
    only: Iterable[str] | None = None,
    on_progress: OnProgress = unheard,
) -> dict[str, Any]:
    """Open a checkpoint on both sides and measure; None is random mini weights, and so is "mini" where none ships.

    `repeats` counts timed runs of each side, `only` names some of `report.ROWS`, `threads` is torch's while measuring.
    Returns a JSON-ready report. Raises Q2AError if an argument is out of range, transformers is missing, or the two
    sides do not compute the same.
    """
    chosen = named(only, known=ROWS)
    check_counts(repeats, threads)
    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        pair = open_pair(checkpoint)
        return measure(pair, repeats=repeats, only=chosen, on_progress=on_progress)
    finally:
        torch.set_num_threads(before)


def measure(
    pair: Pair,
    *,
    repeats: int = 5,
    only: Iterable[str] | None = None,
    on_progress: OnProgress = unheard,
) -> dict[str, Any]:
    """The report on an opened pair; raises Q2AError, before anything is timed, if the sides do not agree."""
    chosen = named(only, known=ROWS)
    clip_seconds = min(CLIP_SECONDS, pair.window_seconds)
    total = 1 + sum((2 if name in ("mel", "encoder") else 1) * (repeats + 1) for name in chosen)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    gate = check_pair(pair, seconds=clip_seconds, new_tokens=NEW_TOKENS)
    tick()
    run = Run(pair=pair, repeats=repeats, tick=tick)
    both = (clip_seconds, min(LONG_SECONDS, pair.window_seconds))
    measured = {
        "first_token": lambda: [row.first_token(run, clip_seconds)],
        "decode": lambda: [row.decode(run, clip_seconds)],
        "train": lambda: [row.train(run, clip_seconds)],
        "mel": lambda: [row.mel(run, seconds) for seconds in both],
        "encoder": lambda: [row.encoder(run, seconds) for seconds in both],
        "ragged": lambda: [row.ragged(run)],
    }
    rows = [made.to_dict() for name in chosen for made in measured[name]()]
    return {
        "checkpoint": {"name": pair.name, "hash": pair.hash},
        "machine": machine(threads=torch.get_num_threads()),
        "conditions": {
            "dtype": "float32",
            "clip_seconds": clip_seconds,
            "new_tokens": NEW_TOKENS,
            "training_batch": BATCH_SIZE,
            "repeats": repeats,
            "order": "turn about; the first round does not count, nor does the first call of every turn",
            "their_attention": str(pair.theirs.config._attn_implementation),
        },
        "gate": gate,
        "rows": rows,
        "notices": _notices(pair),
    }


def _notices(pair: Pair) -> list[str]:
    notices = []
    if pair.window_seconds < LONG_SECONDS:
        notices.append(f"The model's window is {pair.window_seconds:g} s; no row has longer clips.")
    cores, threads = available_cores(), torch.get_num_threads()
    if threads < cores:
        notices.append(f"Torch computes with {threads} of {cores} cores, on both sides.")
    return notices
