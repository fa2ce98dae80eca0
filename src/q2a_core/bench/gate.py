"""Correctness before speed: two models that do not compute the same are not compared."""

from typing import Any

import torch

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
from q2a_core.bench.training_step import make_batch, our_loss, their_loss
from q2a_core.errors import Q2AError
from q2a_core.lengths import mel_frames

MEL_TOLERANCE = 1e-4
"""Absolute; fp32 rounding 80 dB below the loudest bin reaches half of it."""
LOGIT_TOLERANCE = 1e-3
"""Absolute, fp32 on both sides."""
LOSS_TOLERANCE = 1e-4
"""Relative."""
TIE = 1e-4
"""Two best logits closer than this may change places through rounding alone."""


def check_pair(pair: Pair, *, seconds: float, new_tokens: int) -> dict[str, Any]:
    """The differences found; raises Q2AError if the sides do not compute the same."""
    samples = noise_clip(seconds)
    frames = mel_frames(len(samples))
    theirs_mel = their_mel(pair, samples)["input_features"][0, :, :frames]
    mel = _difference(our_mel(pair, samples)[:, :frames], theirs_mel)
    _require("log-mel", mel, MEL_TOLERANCE)
    ours, theirs = our_prompt(pair, samples), their_prompt(pair, samples)
    if not torch.equal(ours["input_ids"], theirs["input_ids"]):
        raise Q2AError(
            f"nothing was timed: the prompt is {ours['input_ids'].shape[1]} tokens here and "
            f"{theirs['input_ids'].shape[1]} in transformers, or they differ; the checkpoint's tokenizer or chat "
            "template means different things to the two"
        )
    with torch.inference_mode():
        logits = _difference(pair.model(**ours).logits, pair.theirs(**theirs).logits)
        batch = make_batch(pair, batch_size=1, seconds=seconds)
        expected = their_loss(pair.theirs, batch)
        loss = float((our_loss(pair.model, batch) - expected).abs() / expected.abs())
    _require("logits", logits, LOGIT_TOLERANCE)
    _require("training loss", loss, LOSS_TOLERANCE)
    tokens = _check_tokens(pair, ours, theirs, new_tokens)
    return {"mel": mel, "logits": logits, "loss": loss, "greedy_tokens": tokens}


def _check_tokens(
    pair: Pair, ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor], new_tokens: int
) -> int:
    """How many greedy tokens are the same: all, or those before a tie."""
    here = list(our_tokens(pair, ours, new_tokens=new_tokens))
    there = their_tokens(pair, theirs, new_tokens=new_tokens)
    if here == there:
        return len(here)
    step = next((k for k, both in enumerate(zip(here, there, strict=False)) if len({*both}) > 1), 0)
    ids = torch.cat([ours["input_ids"], torch.tensor([here[:step]], dtype=torch.long)], dim=1)
    with torch.inference_mode():
        logits = pair.model(**(ours | {"input_ids": ids}), last_only=True).logits[0, -1]
    best, second = logits.topk(2).values.tolist()
    if len(here) == len(there) and best - second < TIE:
        return step
    raise Q2AError(
        f"nothing was timed: greedy token {step + 1} differs from transformers' although the two best logits are "
        f"{best - second:.2g} apart; run pytest -k parity to find the part that differs"
    )


def _difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max())


def _require(what: str, found: float, tolerance: float) -> None:
    if not found <= tolerance:  # a NaN is refused too
        raise Q2AError(
            f"nothing was timed: the {what} differs from transformers' by {found:.2g}, expected at most {tolerance:g}; "
            "run pytest -k parity to find the part that differs"
        )
