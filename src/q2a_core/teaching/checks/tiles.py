"""The judges of lesson 09's tiles: every step on its own, against torch's softmax on the whole."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from q2a_core.teaching.checks.mistakes import Mistake, mistake_made
from q2a_core.teaching.exercise import Verdict, call, passed, wrong

State = tuple[Tensor, Tensor]
LARGE_SUM_ROOM = 1e-2
"""Room for a sum of exponentials of large scores, which has the rounding of these scores in it."""
FAR_BELOW = -1e4
"""A score from which on a weight is zero beside any score that a clip has."""


def close(one: Any, other: Any, room: float = 1e-5) -> bool:
    """Whether two tensors are the same but for rounding; infinities must agree, NaN never does."""
    one, other = (torch.as_tensor(x, dtype=torch.float32).detach() for x in (one, other))
    if one.shape != other.shape or not torch.equal(one.isfinite(), other.isfinite()):
        return False
    seen = other.isfinite()
    size = float(other[seen].abs().max()) if bool(seen.any()) else 0.0
    return bool((one[seen] - other[seen]).abs().le(room * max(size, 1.0)).all())


def all_close(ones: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether all pairs are close."""
    return all(close(one, other) for one, other in zip(ones, others, strict=True))


def tensors(value: Any, count: int) -> tuple[Tensor, ...] | None:
    """What the student returned as `count` tensors; None if it is something else."""
    if not isinstance(value, tuple | list) or len(value) != count:
        return None
    return tuple(value) if all(isinstance(x, Tensor) for x in value) else None


def _score_tiles(seed: int, *, rows: int = 5, tiles: int = 4, size: float = 2.0) -> list[Tensor]:
    rng = torch.Generator().manual_seed(seed)
    drawn = [size * torch.randn(rows, 6, generator=rng) for _ in range(tiles)]
    drawn[tiles // 2][1] += 3 * size  # a maximum that grows late, in one row
    return drawn


def _run(step: Callable[..., Any], tiles: list[Tensor]) -> Any:
    """A step over all tiles from nothing; None where it does not return two tensors."""
    rows = tiles[0].shape[0]
    state: State = torch.full((rows,), -torch.inf), torch.zeros(rows)
    for tile in tiles:
        found = tensors(step(state[0].clone(), state[1].clone(), tile.clone()), 2)
        if found is None:
            return None
        state = found[0], found[1]
    return state


def _absorb(row_max: Tensor, row_sum: Tensor, scores: Tensor, how: str = "") -> State:
    """The right step, or one with a usual mistake."""
    new_max = torch.maximum(row_max, scores.amax(-1))
    if how == "own maximum":
        new_max = scores.amax(-1)
    if how == "one maximum":
        new_max = torch.maximum(row_max, scores.max())
    shrink = (row_max - new_max).exp()
    added = (scores - new_max[:, None]).exp().sum(-1)
    if how == "no maximum":
        added, shrink = scores.exp().sum(-1), torch.ones_like(shrink)
    if how == "not rescaled":
        shrink = torch.ones_like(shrink)
    if how == "wrong way":
        shrink = torch.where(row_max.isfinite(), (new_max - row_max).exp(), 0.0)
    if how == "forgotten":
        shrink = torch.zeros_like(shrink)
    if how == "both rescaled":
        return new_max, (row_sum + (scores - new_max[:, None]).exp().sum(-1)) * shrink
    return new_max, row_sum * shrink + added


ABSORB_SENTENCES = {
    "not rescaled": "the old sum keeps its old scale: when the maximum grows, what was summed before is too large.",
    "wrong way": "the old sum is scaled the wrong way round: a larger maximum makes it smaller, never larger.",
    "own maximum": "the maximum is the tile's own: it must run, so compare it with the one that you were given.",
    "one maximum": "you take one maximum for the whole tile; each row has its own (an axis is missing in the max).",
    "no maximum": "the exponentials are taken without the maximum: right for small scores, infinite for large ones.",
    "forgotten": "the old sum is lost: only the last tile is in the result.",
    "both rescaled": "the new tile is scaled as well; it is relative to the new maximum already.",
}


def judge_absorb(answer: Any) -> Verdict:
    """A tile of scores taken into running maximum and running sum."""
    runs = [_score_tiles(1), _score_tiles(2, tiles=1), _score_tiles(3, size=0.3)]
    found = []
    for tiles in runs:
        state = _run(lambda *step: call(answer, *step), tiles)
        if state is None:
            return wrong("return two tensors (R,): the new maximum and the new sum.")
        found.append(state)
    whole = [torch.cat(tiles, -1) for tiles in runs]
    due = [(x.amax(-1), (x - x.amax(-1, keepdim=True)).exp().sum(-1)) for x in whole]
    drawn = {"yours": found[0][1], "expected": due[0][1]}
    if not all(map(all_close, found, due)):
        mistakes: list[Mistake] = [
            (lambda tiles, how=how: _run(lambda *s: _absorb(*s, how=how), tiles), text)
            for how, text in ABSORB_SENTENCES.items()
        ]
        message = mistake_made(mistakes, [(tiles,) for tiles in runs], found, all_close)
        return wrong(message or "compare with the sum over all tiles at once.", **drawn)
    large = _score_tiles(4, size=300.0)
    late = _score_tiles(5)
    late[0][3] = -torch.inf  # a row that has seen no key yet
    for tile in late[1:]:
        tile[3] -= 20.0  # and whose maximum lies below 0
    for tiles, reason in ((large, _large_reason), (late, _late_reason)):
        state = _run(lambda *step: call(answer, *step), tiles)
        whole = torch.cat(tiles, -1)
        row_max = whole.amax(-1)
        row_sum = (whole - row_max[:, None]).exp().sum(-1)
        if state is None or not (
            close(state[0], row_max) and close(state[1], row_sum, LARGE_SUM_ROOM)
        ):
            return wrong(reason(state), **drawn)
    return passed("any number of tiles, one pass, and nothing overflows.", **drawn)


def _large_reason(state: State | None) -> str:
    if state is None or not all(bool(x.isfinite().all()) for x in state):
        return ABSORB_SENTENCES["no maximum"]
    return "right for small scores, not for large ones: take the maximum off, and cut nothing off."


def _late_reason(state: State | None) -> str:
    if state is None or any(bool(x.isnan().any()) for x in state):
        return (
            "a row that has seen no key yet becomes NaN: minus infinity minus minus infinity is no number. Subtract 0 "
            "from such a row instead."
        )
    return (
        "a row that has seen no key yet comes out wrong: its maximum is minus infinity until a key comes, and its sum "
        "0. Take another number for the subtraction alone."
    )


SCORE_CASES = ((0, 100), (8, 11), (8, 16), (16, 16), (24, 31), (0, 1))
"""First key of the tile, and valid keys of the clip."""


def _scores(q: Tensor, k: Tensor, left: int, length: int, how: str = "") -> Tensor:
    width = q.shape[-1]
    factor = {"not scaled": 1.0, "bare": 1.0, "by the width": 1 / width, "times": width**0.5}.get(
        how, width**-0.5
    )
    scores = factor * (q @ k.T)
    place = torch.arange(len(k)) + (0 if how == "left forgotten" else left)
    beyond = {"one late": place > length, "one early": place >= length - 1}.get(
        how, place >= length
    )
    if how in ("not masked", "bare"):
        return scores
    return scores.masked_fill(beyond, 0.0 if how == "zeros" else -torch.inf)


SCORE_SENTENCES = {
    "not scaled": "the factor is missing: scores are divided by the root of the head's width.",
    "bare": "the product alone is not enough: divide by the root of the head's width, and mask the padding.",
    "by the width": "you divide by the width; divide by its root.",
    "times": "you multiply by the root of the width; divide by it.",
    "not masked": "keys behind the clip's end take part: nothing is masked.",
    "zeros": "a score of 0 is not a weight of 0: exp(0) is 1. What is padding must be far below everything else.",
    "left forgotten": "you compare the column in the tile with the length; column c is key `left + c`.",
    "one late": "off by one: key number `length` is the first of the padding, for counting starts at 0.",
    "one early": "off by one: the clip's last key is masked too.",
}


def judge_scores(answer: Any) -> Verdict:
    """Scaled scores of a tile, minus infinity for keys past the clip's end."""
    rng = torch.Generator().manual_seed(9)
    cases = []
    for left, length in SCORE_CASES:
        q, k = torch.randn(5, 16, generator=rng), torch.randn(8, 16, generator=rng)
        cases.append((q, k, left, length))
    found = [torch.as_tensor(call(answer, q.clone(), k.clone(), *at)) for q, k, *at in cases]
    found = [x.masked_fill(x <= FAR_BELOW, -torch.inf) for x in found]
    due = [_scores(*case) for case in cases]
    drawn = {"yours": found[1].exp(), "expected": due[1].exp()}
    if all_close(found, due):
        return passed("scaled, and what is padding gets no weight.", **drawn)
    if found[0].shape == due[0].T.shape:
        return wrong("queries and keys are exchanged: rows are queries, columns are keys.", **drawn)
    if found[0].shape != due[0].shape:
        return wrong(
            f"the shape is {tuple(found[0].shape)}; expected {tuple(due[0].shape)}, a row for each query.",
            **drawn,
        )
    mistakes: list[Mistake] = [
        (lambda *case, how=how: _scores(*case, how=how), text)
        for how, text in SCORE_SENTENCES.items()
    ]
    message = mistake_made(mistakes, cases, found, close)
    if message is None and _masked_too_little(found, due):
        message = (
            "the mask lies where it should, but its number is too near: beside low scores it would get a weight. The "
            "exercise wants float('-inf')."
        )
    return wrong(message or "look at the picture: which keys should have no weight?", **drawn)


def _masked_too_little(found: list[Tensor], due: list[Tensor]) -> bool:
    """Whether all is right but for padding's scores, which lie below 0 and are not low enough."""
    behind = torch.cat([x[y.isinf()] for x, y in zip(found, due, strict=True)])
    lifted = [torch.where(y.isinf(), -torch.inf, x) for x, y in zip(found, due, strict=True)]
    return all_close(lifted, due) and bool((behind < 0).all())


def _attend(
    row_max: Tensor, row_sum: Tensor, accumulator: Tensor, scores: Tensor, v: Tensor, how: str = ""
) -> tuple[Tensor, Tensor, Tensor]:
    new_max = torch.maximum(row_max, scores.amax(-1))
    shrink, weights = (row_max - new_max).exp(), (scores - new_max[:, None]).exp()
    new_sum = (row_sum if how == "sum not rescaled" else row_sum * shrink) + weights.sum(-1)
    if how == "softmax of the tile":
        weights = scores.softmax(-1)
    kept = accumulator if how == "not rescaled" else accumulator * shrink[:, None]
    if how == "sum twice":
        kept = accumulator * (shrink * shrink)[:, None]
    new = weights @ v if how == "forgotten" else kept + weights @ v
    if how == "divided":
        new = new / new_sum[:, None]
    return new_max, new_sum, new


TILE_SENTENCES = {
    "not rescaled": "the accumulator keeps its old scale while the maximum grows; shrink it as the sum.",
    "sum not rescaled": "the accumulator is right, but the running sum keeps its old scale.",
    "sum twice": "the accumulator is shrunk twice.",
    "softmax of the tile": "you add the softmax of each tile alone; its weights are relative to the tile, not to "
    "the row. Use exp(score - maximum), without dividing.",
    "divided": "you divide in every tile; the sum is known when the last tile has passed, so divide once, outside.",
    "forgotten": "the old accumulator is lost: only the last tile is in the result.",
}


def judge_tile(answer: Any) -> Verdict:
    """Maximum, sum and accumulator after a tile of scores and values."""
    cases = []
    for seed in (1, 6, 7):
        rng = torch.Generator().manual_seed(seed)
        tiles = _score_tiles(seed)
        cases.append((tiles, [torch.randn(x.shape[1], 3, generator=rng) for x in tiles]))
    found = []
    for tiles, values in cases:
        state = _run_tiles(lambda *step: call(answer, *step), tiles, values)
        if state is None:
            return wrong("return three tensors: maximum (R,), sum (R,) and accumulator (R, Dh).")
        found.append(state)
    due = [_run_tiles(_attend, *case) for case in cases]
    outputs = [torch.cat(tiles, -1).softmax(-1) @ torch.cat(values) for tiles, values in cases]
    shape = found[0][2].shape
    if shape != due[0][2].shape:
        return wrong(f"the accumulator is {tuple(shape)}; expected {tuple(due[0][2].shape)}.")
    drawn = {"yours": found[0][2] / found[0][1][:, None], "expected": outputs[0]}
    if all(map(all_close, found, due)):
        return passed("divided once at the end, it is softmax(scores) v.", **drawn)
    mistakes: list[Mistake] = [
        (lambda *case, how=how: _run_tiles(lambda *s: _attend(*s, how=how), *case), text)
        for how, text in TILE_SENTENCES.items()
    ]
    message = mistake_made(mistakes, cases, found, all_close)
    return wrong(message or "the accumulator should be the sum of exp(score - maximum) v.", **drawn)


def _run_tiles(step: Callable[..., Any], tiles: list[Tensor], values: list[Tensor]) -> Any:
    rows, width = tiles[0].shape[0], values[0].shape[1]
    state = torch.full((rows,), -torch.inf), torch.zeros(rows), torch.zeros(rows, width)
    for scores, v in zip(tiles, values, strict=True):
        found = tensors(step(*(x.clone() for x in (*state, scores, v))), 3)
        if found is None:
            return None
        state = found
    return state


LSE_MISTAKES: tuple[Mistake, ...] = (
    (lambda m, s: s.log(), "the maximum is missing: the sum is relative to it."),
    (lambda m, s: m + s, "the sum needs its logarithm before it joins the maximum."),
    (
        lambda m, s: m * s.log(),
        "a product inside becomes a sum outside the logarithm; you multiply.",
    ),
    (lambda m, s: (m + s).log(), "the logarithm is taken too late: it belongs to the sum alone."),
    (
        lambda m, s: m + s.log2(),
        "this is the logarithm to the base 2; the kernel does that, but then for all of it.",
    ),
    (lambda m, s: s.log() - m, "the maximum has the wrong sign."),
    (
        lambda m, s: m.exp() * s,
        "this is the sum of exponentials itself; it overflows, its logarithm does not.",
    ),
)


def judge_lse(answer: Any) -> Verdict:
    """Log-sum-exp from running maximum and sum."""
    whole = [torch.cat(_score_tiles(seed), -1) for seed in (1, 2)]
    cases = [(x.amax(-1), (x - x.amax(-1, keepdim=True)).exp().sum(-1)) for x in whole]
    found = [torch.as_tensor(call(answer, m.clone(), s.clone())) for m, s in cases]
    due = [x.logsumexp(-1) for x in whole]
    drawn = {"yours": found[0], "expected": due[0]}
    if not all_close(found, due):
        message = mistake_made(LSE_MISTAKES, cases, found, close)
        return wrong(message or "compare with torch.logsumexp of all scores of the row.", **drawn)
    high = torch.tensor([500.0]), torch.tensor([2.0])
    if not bool(torch.as_tensor(call(answer, *high)).isfinite().all()):
        return wrong(
            "right for small scores; with a maximum of 500 it overflows: never take exp(maximum).",
            **drawn,
        )
    return passed(
        "any weight of the row is exp(score - this), computed again when needed.", **drawn
    )
