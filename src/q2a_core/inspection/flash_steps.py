"""Flash attention one tile at a time, with everything that the kernel holds between two tiles: for looking at.

The same algorithm as kernels/attention_triton.py (Dao et al. 2022, arXiv 2205.14135; online softmax: Milakov and
Gimelshein 2018, arXiv 1805.02867), for one head and in plain tensors. For each tile of queries the tiles of keys pass
by; a running maximum, a running sum and an accumulator are all that is kept, and no row of weights is ever whole.

On request one of five faults is planted. Each of them is a mistake that people make in a kernel of their own.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from q2a_core.errors import Q2AError

TILE = 32
"""Queries and keys in a tile, if nothing else is asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A mistake that can be planted, and what somebody who looks will see."""

    name: str
    title: str
    symptom: str
    why: str


FAULTS = {
    fault.name: fault
    for fault in (
        Fault(
            name="accumulator_not_rescaled",
            title="The accumulator keeps its old scale",
            symptom="The output is wrong only in rows whose maximum grew after the first tile.",
            why="What was added under a smaller maximum is too large by exp(new - old); accumulator and sum must both "
            "be multiplied by exp(old - new) before the next tile is added.",
        ),
        Fault(
            name="sum_not_rescaled",
            title="The running sum keeps its old scale",
            symptom="Rows come out too small, and only those whose maximum grew after the first tile.",
            why="The sum of exponentials is relative to the running maximum, as the accumulator is. If only the "
            "accumulator is rescaled, the weights no longer add up to one.",
        ),
        Fault(
            name="scores_not_scaled",
            title="The scores are not divided by the root of the head width",
            symptom="Every row is wrong, and its weights are sharper than they should be; they still add up to one.",
            why="q k^T grows with the root of the width; without the factor the softmax is nearly a maximum.",
        ),
        Fault(
            name="padding_attended",
            title="The last tile's empty keys take part",
            symptom="Every row is too small, and more so the emptier the last tile is; a clip that fills its tiles is "
            "right.",
            why="Keys past the clip's end are loaded as zeros, and a score of 0 is not a weight of 0: it must become "
            "minus infinity before the exponential.",
        ),
        Fault(
            name="divided_in_every_tile",
            title="Every tile divides by the running sum",
            symptom="With one tile of keys all is right; with more, early tiles are divided again and again.",
            why="The sum is known when the last tile has passed. Divide once, at the end.",
        ),
    )
}
"""Faults by name."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TileStep:
    """One tile of keys passing one tile of queries; what it holds is as it is after the tile."""

    queries: tuple[int, int]
    keys: tuple[int, int]
    """First place and the one after the last; the last tile may reach past the clip."""
    skipped: bool
    """Whether all of the tile is padding, so that nothing was read or computed."""
    scores: Tensor
    """(R, C), minus infinity where a key is padding; empty if skipped."""
    rescale: Tensor
    """(R,) exp(old maximum - new maximum), what the old sum and accumulator are multiplied by."""
    row_max: Tensor
    row_sum: Tensor
    """(R,) running maximum of the scores, and running sum of exponentials relative to it."""
    accumulator: Tensor
    """(R, Dh) weighted values so far, not yet divided."""


@dataclass(kw_only=True, slots=True, eq=False)
class FlashRun:
    """All tiles in the order in which the kernel takes them, and what comes out."""

    steps: list[TileStep] = field(default_factory=list)
    out: Tensor
    """(T, Dh), zeros where a query is padding."""
    lse: Tensor
    """(T,) log-sum-exp of each row's scores, minus infinity for padding."""
    length: int
    """Valid places; the rest is padding."""

    def weights_so_far(self, step: int) -> Tensor:
        """(T, T) final weights of every score computed up to and including `step`; NaN where no tile has been yet.

        A query that is padding has none, in a tile that others share too.
        """
        places = self.out.shape[0]
        seen = torch.full((places, places), float("nan"))
        for tile in self.steps[: step + 1]:
            (top, bottom), (left, right) = tile.queries, tile.keys
            if not tile.skipped:
                lse = self.lse[top:bottom, None]
                weights = (tile.scores[: len(lse), : places - left] - lse).exp()
                seen[top:bottom, left:right] = weights.masked_fill(lse.isinf(), 0.0)
        return seen


def flash_steps(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    length: int | None = None,
    tile: int = TILE,
    scale: float | None = None,
    fault: str | None = None,
) -> FlashRun:
    """Bidirectional attention of one head, q, k and v (T, Dh) in fp32, the first `length` places valid.

    Raises Q2AError for a tile of no size, a length outside the clip, or a fault that is not in FAULTS.
    """
    places, width = q.shape
    length = places if length is None else length
    if tile < 1 or not 1 <= length <= places:
        raise Q2AError(
            f"tiles of {tile} and {length} valid of {places} places; expected tiles of at least 1 and at least one "
            "valid place"
        )
    if fault is not None and fault not in FAULTS:
        raise Q2AError(f"no fault is called {fault!r}; known: {', '.join(FAULTS)}")
    factor = 1.0 if fault == "scores_not_scaled" else width**-0.5 if scale is None else scale
    run = FlashRun(out=torch.zeros_like(q), lse=q.new_full((places,), -torch.inf), length=length)
    # a tile is always whole: what it reads past the end is zeros
    q, k, v = (F.pad(x, (0, 0, 0, -places % tile)) for x in (q, k, v))
    for top in range(0, places, tile):
        bottom = top + tile
        row_max, row_sum = q.new_full((tile,), -torch.inf), q.new_zeros(tile)
        accumulator = q.new_zeros(tile, width)
        for left in range(0, places, tile):
            right = left + tile
            if top >= length or left >= length:
                nothing, one = q.new_zeros(tile, 0), q.new_ones(tile)
                run.steps.append(
                    _step((top, bottom), (left, right), nothing, one, row_max, row_sum, accumulator)
                )
                continue
            scores = factor * (q[top:bottom] @ k[left:right].T)
            beyond = torch.arange(left, right) >= length
            if fault == "padding_attended":
                scores[:, beyond] = 0.0  # q times a key of zeros
            else:
                scores[:, beyond] = -torch.inf
            new_max = torch.maximum(row_max, scores.amax(-1))
            rescale = (row_max - new_max).exp()
            weights = (scores - new_max[:, None]).exp()
            values = v[left:right].masked_fill(beyond[:, None], 0.0)
            kept_sum = row_sum if fault == "sum_not_rescaled" else row_sum * rescale
            kept = (
                accumulator
                if fault == "accumulator_not_rescaled"
                else accumulator * rescale[:, None]
            )
            row_sum = kept_sum + weights.sum(-1)
            accumulator = kept + weights @ values
            if fault == "divided_in_every_tile":
                accumulator = accumulator / row_sum[:, None]
            row_max = new_max
            run.steps.append(
                _step((top, bottom), (left, right), scores, rescale, row_max, row_sum, accumulator)
            )
        valid = min(bottom, length) - top
        if valid > 0:
            divisor = 1.0 if fault == "divided_in_every_tile" else row_sum[:valid, None]
            run.out[top : top + valid] = accumulator[:valid] / divisor
            run.lse[top : top + valid] = row_max[:valid] + row_sum[:valid].log()
    return run


def _step(
    queries: tuple[int, int],
    keys: tuple[int, int],
    scores: Tensor,
    rescale: Tensor,
    row_max: Tensor,
    row_sum: Tensor,
    accumulator: Tensor,
) -> TileStep:
    return TileStep(
        queries=queries,
        keys=keys,
        skipped=scores.shape[1] == 0,
        scores=scores,
        rescale=rescale,
        row_max=row_max,
        row_sum=row_sum,
        accumulator=accumulator,
    )
