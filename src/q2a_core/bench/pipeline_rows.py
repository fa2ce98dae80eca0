"""The rows of the pipeline's bench: each gives two sides their work, turn about, and names what was measured."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from q2a_core.audio.mel import stack_mels
from q2a_core.bench.encoder_stack import encoder_sides
from q2a_core.bench.pair import (
    Pair,
    noise_clip,
    our_mel,
    our_prompt,
    our_tokens,
    their_mel,
    their_prompt,
    their_tokens,
)
from q2a_core.bench.report import Row
from q2a_core.bench.timing import TokenClock, alternate, seconds_of
from q2a_core.bench.training_step import make_batch, training_steps
from q2a_core.lengths import mel_frames

CLIP_SECONDS = 3.0
SHORT_SECONDS, LONG_SECONDS = 1.0, 30.0
"""Of the ragged batch; the longer is cut to the model's window."""
NEW_TOKENS = 64
BATCH_SIZE = 16
"""Clips in a training step, in one batch on both sides. Transformers pads each to the window and takes seconds."""
QUICK = 4
"""Rows that take milliseconds run this many times as often."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What every row is given."""

    pair: Pair
    repeats: int
    tick: Callable[[], None]

    def alternate(
        self, ours: Callable[[], float], other: Callable[[], float], *, times: int = 1
    ) -> tuple[list[float], list[float]]:
        return alternate(ours, other, rounds=self.repeats * times, tick=self.tick, every=times)


def first_token(run: Run, seconds: float) -> Row:
    """From samples and question to one token."""
    pair, samples = run.pair, noise_clip(seconds)
    ours, other = run.alternate(
        seconds_of(lambda: next(our_tokens(pair, our_prompt(pair, samples), new_tokens=1))),
        seconds_of(lambda: their_tokens(pair, their_prompt(pair, samples), new_tokens=1)),
    )
    what = f"time to first token, samples and question to one token, {seconds:g} s clip"
    return Row(name="first_token", what=what, unit="s", ours=ours, other=other, at_least=8.0)


def decode(run: Run, seconds: float) -> Row:
    """Tokens a second after the first."""
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


def train(run: Run, seconds: float) -> Row:
    """Clips a second of a whole training step."""
    batch = make_batch(run.pair, batch_size=BATCH_SIZE, seconds=seconds)
    ours, theirs = training_steps(run.pair, batch)
    figures = run.alternate(seconds_of(ours), seconds_of(theirs))
    rates = [[BATCH_SIZE / taken for taken in side] for side in figures]
    what = f"training step (forward, backward, AdamW), {BATCH_SIZE} clips of {seconds:g} s"
    return Row(
        name="train", what=what, unit="clips/s", ours=rates[0], other=rates[1], at_least=12.0
    )


def mel(run: Run, seconds: float) -> Row:
    """The front end alone, beside the feature extractor."""
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


def encoder(run: Run, seconds: float) -> Row:
    """The audio encoder beside a bare stack of its blocks."""
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


def ragged(run: Run) -> Row:
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
