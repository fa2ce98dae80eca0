"""Find the bug: one of the planted faults by seed, and what its wrong output looks like from outside.

Nothing here tells which fault it is; `planted` does, and is asked for the verdict.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from q2a_core.errors import Q2AError
from q2a_core.inspection.flash_steps import FAULTS, FlashRun, flash_steps

VISIBLE = 1e-4
"""Errors relative to the largest output from which a fault shows; rounding stays below."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ErrorPattern:
    """A faulty kernel's output beside the right one, on the same tensors."""

    by_row: np.ndarray
    """(T,) largest absolute error of each of the clip's rows."""
    by_tile: np.ndarray
    """(tiles, tiles) largest error of the answer if it stopped after that tile of keys; NaN where skipped."""
    weight_sums: np.ndarray
    """(T,) what each row's weights add up to; 1 if right."""
    grew: np.ndarray
    """(T,) whether the row's maximum grew after its first tile of keys."""
    size: float
    """Largest absolute value of the right output."""

    @property
    def wrong_rows(self) -> np.ndarray:
        """(T,) bool"""
        return self.by_row > VISIBLE * self.size

    @property
    def wrong_that_grew(self) -> int:
        """Wrong rows among those whose maximum grew after the first tile."""
        return int((self.wrong_rows & self.grew).sum())


@dataclass(frozen=True, kw_only=True, slots=True)
class BugVerdict:
    """What there is to say to a guess."""

    right: bool
    text: str


def planted(seed: int) -> str:
    """The name of the fault that a seed plants."""
    return list(FAULTS)[int(np.random.default_rng(seed).integers(len(FAULTS)))]


def judge_guess(seed: int, guess: str) -> BugVerdict:
    """Right with the reason, or wrong with what the guessed fault would look like. Raises Q2AError for no fault."""
    if guess not in FAULTS:
        raise Q2AError(f"no fault is called {guess!r}; known: {', '.join(FAULTS)}")
    if guess == planted(seed):
        return BugVerdict(right=True, text=FAULTS[guess].why)
    return BugVerdict(right=False, text=FAULTS[guess].symptom)


@torch.inference_mode()
def error_pattern(
    q: Tensor, k: Tensor, v: Tensor, *, length: int, tile: int, seed: int
) -> ErrorPattern:
    """Run the kernel that `seed` breaks beside the right one; q, k and v (P, Dh) as for `flash_steps`."""
    fault = planted(seed)
    right = flash_steps(q, k, v, length=length, tile=tile)
    wrong = flash_steps(q, k, v, length=length, tile=tile, fault=fault)
    # the weights of a row add up to what attention gives for values of one
    ones = flash_steps(q, k, torch.ones_like(v), length=length, tile=tile, fault=fault)
    tiles = -(-q.shape[0] // tile)
    by_tile = np.full(tiles * tiles, np.nan)
    first = torch.full((length,), -torch.inf)
    for number, step in enumerate(wrong.steps):
        top, bottom = step.queries[0], min(step.queries[1], length)
        if step.skipped:
            continue
        one, other = (_answer_so_far(run, number, bottom - top) for run in (right, wrong))
        if fault == "divided_in_every_tile":  # it has divided already
            other = step.accumulator[: bottom - top]
        by_tile[number] = float((one - other).abs().max())
        if step.keys[0] == 0:
            first[top:bottom] = right.steps[number].row_max[: bottom - top]
    last = torch.cat([step.row_max for step in right.steps[tiles - 1 :: tiles]])[:length]
    return ErrorPattern(
        by_row=(wrong.out - right.out)[:length].abs().amax(-1).numpy(),
        by_tile=by_tile.reshape(tiles, tiles),
        weight_sums=ones.out[:length, 0].numpy(),
        grew=(last > first).numpy(),
        size=float(right.out.abs().max()),
    )


def _answer_so_far(run: FlashRun, number: int, rows: int) -> Tensor:
    step = run.steps[number]
    return step.accumulator[:rows] / step.row_sum[:rows, None]
