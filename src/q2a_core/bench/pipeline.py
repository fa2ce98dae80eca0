"""The whole pipeline beside transformers: first token, decoding, training, log-mel, and a ragged batch.

Every row runs its two sides turn about in one process, so that a busy machine slows both, and reports medians.
Nothing is timed before `gate.check_pair` has found both sides to compute the same.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from q2a_core.audio.mel import stack_mels
from q2a_core.bench.encoder_stack import encoder_sides
from q2a_core.bench.gate import check_pair
from q2a_core.bench.pair import (
    Pair,
    noise_clip,
    open_pair,
    our_mel,
    our_prompt,
    our_tokens,
    their_mel,
    their_prompt,
    their_tokens,
)
from q2a_core.bench.report import (
    ROWS,
    Row,
    check_counts,
    named,
)
from q2a_core.bench.timing import TokenClock, alternate, seconds_of
from q2a_core.bench.training_step import make_batch, training_steps
from q2a_core.lengths import mel_frames
from q2a_core.machine import available_cores, machine
from q2a_core.progress import OnProgress, unheard

CLIP_SECONDS = 3.0
SHORT_SECONDS, LONG_SECONDS = 1.0, 30.0
"""Of the ragged batch; the longer is cut to the model's window."""
NEW_TOKENS = 64
BATCH_SIZE = 16
"""Clips in a training step, in one batch on both sides. Transformers pads each to the window and takes seconds."""
QUICK = 4
"""Rows that take milliseconds run this many times as often."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """What every row is given."""

    pair: Pair
    repeats: int
    tick: Callable[[], None]

    def alternate(
        self, ours: Callable[[], float], other: Callable[[], float], *, times: int = 1
    ) -> tuple[list[float], list[float]]:
        return alternate(ours, other, rounds=self.repeats * times, tick=self.tick, every=times)


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
    run = _Run(pair=pair, repeats=repeats, tick=tick)
    both = (clip_seconds, min(LONG_SECONDS, pair.window_seconds))
    measured = {
        "first_token": lambda: [_first_token(run, clip_seconds)],
        "decode": lambda: [_decode(run, clip_seconds)],
        "train": lambda: [_train(run, clip_seconds)],
        "mel": lambda: [_mel(run, seconds) for seconds in both],
        "encoder": lambda: [_encoder(run, seconds) for seconds in both],
        "ragged": lambda: [_ragged(run)],
    }
    rows = [row.to_dict() for name in chosen for row in measured[name]()]
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


def _first_token(run: _Run, seconds: float) -> Row:
    pair, samples = run.pair, noise_clip(seconds)
    ours, other = run.alternate(
        seconds_of(lambda: next(our_tokens(pair, our_prompt(pair, samples), new_tokens=1))),
        seconds_of(lambda: their_tokens(pair, their_prompt(pair, samples), new_tokens=1)),
    )
    what = f"time to first token, samples and question to one token, {seconds:g} s clip"
    return Row(name="first_token", what=what, unit="s", ours=ours, other=other, at_least=8.0)


def _decode(run: _Run, seconds: float) -> Row:
    pair, samples = run.pair, noise_clip(seconds)
    our_ready, their_ready = our_prompt(pair, samples), their_prompt(pair, samples)

    def ours() -> float:
        clock = TokenClock()
        for token in our_tokens(pair, our_ready, new_tokens=NEW_TOKENS):
            clock.put(token)
        return clock.rate

    def theirs() -> float:
        clock = TokenClock(skip=1)  # transformers hands over the prompt first
        their_tokens(pair, their_ready, new_tokens=NEW_TOKENS, streamer=clock)
        return clock.rate

    figures = run.alternate(ours, theirs)
    what = f"decoding after the first token, {NEW_TOKENS} new tokens, KV cache"
    return Row(
        name="decode", what=what, unit="tokens/s", ours=figures[0], other=figures[1], at_least=4.0
    )


def _train(run: _Run, seconds: float) -> Row:
    batch = make_batch(run.pair, batch_size=BATCH_SIZE, seconds=seconds)
    ours, theirs = training_steps(run.pair, batch)
    figures = run.alternate(seconds_of(ours), seconds_of(theirs))
    rates = [[BATCH_SIZE / taken for taken in side] for side in figures]
    what = f"training step (forward, backward, AdamW), {BATCH_SIZE} clips of {seconds:g} s"
    return Row(
        name="train", what=what, unit="clips/s", ours=rates[0], other=rates[1], at_least=12.0
    )


def _mel(run: _Run, seconds: float) -> Row:
    samples = noise_clip(seconds)
    ours, other = run.alternate(
        seconds_of(lambda: our_mel(run.pair, samples)),
        seconds_of(lambda: their_mel(run.pair, samples)),
        times=QUICK,
    )
    return Row(
        name=f"mel_{seconds:g}s",
        what=f"log-mel of {seconds:g} s",
        unit="s",
        ours=ours,
        other=other,
        at_least=8.0 if seconds <= CLIP_SECONDS else 2.0,
    )


def _encoder(run: _Run, seconds: float) -> Row:
    ours, bare = encoder_sides(run.pair, seconds=seconds)
    figures = run.alternate(seconds_of(ours), seconds_of(bare), times=QUICK)
    return Row(
        name=f"encoder_{seconds:g}s",
        what=f"audio encoder, {seconds:g} s clip",
        unit="s",
        ours=figures[0],
        other=figures[1],
        against="its blocks alone",
        at_most=1.3,
    )


def _ragged(run: _Run) -> Row:
    """Our encoder against itself: what a batch of unequal clips costs beside the clips one by one."""
    model, long = run.pair.model, min(LONG_SECONDS, run.pair.window_seconds)
    clips = [noise_clip(seconds) for seconds in (SHORT_SECONDS, long)]
    mels = [our_mel(run.pair, clip) for clip in clips]
    lengths = torch.tensor([mel_frames(len(clip)) for clip in clips])
    together = stack_mels(mels)

    @torch.inference_mode()
    def batch() -> None:
        model.encode_audio(together, lengths)

    @torch.inference_mode()
    def alone() -> None:
        for mel, length in zip(mels, lengths, strict=True):
            model.encode_audio(mel[None], length[None])

    ours, other = run.alternate(seconds_of(batch), seconds_of(alone))
    what = f"encoder, one batch of a {SHORT_SECONDS:g} s and a {long:g} s clip"
    return Row(
        name="ragged",
        what=what,
        unit="s",
        ours=ours,
        other=other,
        against="one by one",
        at_most=1.2,
    )


def _notices(pair: Pair) -> list[str]:
    notices = []
    if pair.window_seconds < LONG_SECONDS:
        notices.append(f"The model's window is {pair.window_seconds:g} s; no row has longer clips.")
    cores, threads = available_cores(), torch.get_num_threads()
    if threads < cores:
        notices.append(f"Torch computes with {threads} of {cores} cores, on both sides.")
    return notices
