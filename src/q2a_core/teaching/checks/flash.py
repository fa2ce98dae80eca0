"""The judge of lesson 09's attention by tiles: against the reference, planted faults, and the memory it may take."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from q2a_core.inspection.flash_steps import FAULTS, flash_steps
from q2a_core.kernels import attention
from q2a_core.teaching.checks.mistakes import Mistake, mistake_made
from q2a_core.teaching.checks.tiles import all_close, close
from q2a_core.teaching.exercise import Verdict, call, passed, wrong

SHAPES = ((40, 40, 8), (37, 37, 16), (50, 33, 16), (20, 20, 64), (24, 12, 4))
"""Places, valid places, tile."""
WIDTH = 8
LONG, LONG_TILE = 256, 16
PRODUCTS = frozenset(("mm", "bmm", "matmul", "addmm", "baddbmm", "mv"))
"""What torch calls for a product of matrices, however it is written."""


def _tensors(seed: int, places: int) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(places, WIDTH, generator=rng) for _ in range(3))
    return 2 * q, k + 0.02 * torch.arange(places)[:, None], v


def _reference(q: Tensor, k: Tensor, v: Tensor, length: int) -> Tensor:
    one, keys, values = (x[None, None] for x in (q, k, v))
    return attention(one, keys, values, lengths=torch.tensor([length]), backend="reference")[0, 0]


def _all_keys(q: Tensor, k: Tensor, v: Tensor, length: int, tile: int) -> Tensor:
    out = _reference(q, k, v, len(q)).clone()
    out[length:] = 0
    return out


def _softmax_of_tiles(q: Tensor, k: Tensor, v: Tensor, length: int, tile: int) -> Tensor:
    out = torch.zeros_like(q)
    for left in range(0, length, tile):
        keys = slice(left, min(left + tile, length))
        out[:length] += (WIDTH**-0.5 * q[:length] @ k[keys].T).softmax(-1) @ v[keys]
    return out


def _whole_tiles_only(q: Tensor, k: Tensor, v: Tensor, length: int, tile: int) -> Tensor:
    out = torch.zeros_like(q)
    kept = length // tile * tile
    out[:kept] = (WIDTH**-0.5 * q[:kept] @ k[:kept].T).softmax(-1) @ v[:kept] if kept else 0.0
    return out


class _Largest(TorchDispatchMode):
    """Watches every tensor that is made: the largest count of numbers, and the products of a tile with a tile."""

    numbers = 0
    products = 0
    longest = 0
    """Rows or columns of the largest product."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.numbers = max(self.numbers, out.numel())
            name = func.overloadpacket.__name__
            if name in PRODUCTS or (name == "mul" and out.dim() > 2):  # summed by hand afterwards
                self.products += 1
                self.longest = max(self.longest, *out.shape)
        return out


def judge_flash(answer: Any) -> Verdict:
    """Attention of one head by tiles, with padding."""
    cases = [(*_tensors(seed, shape[0]), *shape[1:]) for seed, shape in enumerate(SHAPES)]
    found = []
    for q, k, v, length, tile in cases:
        out = torch.as_tensor(call(answer, q.clone(), k.clone(), v.clone(), length, tile))
        if out.shape != q.shape:
            return wrong(
                f"of {len(q)} places in tiles of {tile} you return {tuple(out.shape)}; expected {tuple(q.shape)}, "
                "padding included (as zeros)."
            )
        found.append(out)
    due = [_reference(q, k, v, length) for q, k, v, length, _ in cases]
    rows = tuple(
        (
            f"{shape[0]} places, {shape[1]} valid, tile {shape[2]}",
            _error(a, b),
            "0, but for rounding",
        )
        for shape, a, b in zip(SHAPES, found, due, strict=True)
    )
    drawn = {"rows": rows, "yours": found[0], "expected": due[0]}
    if not all_close(found, due):
        return wrong(_reason(cases, found, due), **drawn)
    q, k, v = _tensors(11, 30)
    k[20:], v[20:] = torch.nan, torch.nan
    if not bool(torch.as_tensor(call(answer, q, k, v, 20, 8)).isfinite().all()):
        return wrong(
            "right, until something that is no number lies in the padding: a weight of 0 times NaN is NaN. Leave the "
            "padded values out, or write zeros over them.",
            **drawn,
        )
    with _Largest() as watched:
        call(answer, *_tensors(12, LONG), LONG, LONG_TILE)
    if watched.numbers >= LONG * LONG_TILE:
        return wrong(
            f"the numbers are right, but not by tiles: for {LONG} places you hold {watched.numbers:,} numbers at once, "
            f"and a tile of weights has {LONG_TILE**2}. Both queries and keys must pass by in tiles.",
            **drawn,
        )
    if watched.longest >= LONG:
        return wrong(
            f"the numbers are right, but a row of {LONG} weights is whole. Both queries and keys must pass by in "
            "tiles.",
            **drawn,
        )
    if watched.products < (LONG // LONG_TILE) ** 2:
        return wrong(
            "right, but no tile of keys passed by: write the two loops with torch, without NumPy or a ready-made "
            "attention.",
            **drawn,
        )
    return passed("the reference's output, and no row of weights was ever whole.", **drawn)


def _reason(cases: list[tuple], found: list[Tensor], due: list[Tensor]) -> str:
    inside = [
        close(a[:length], b[:length])
        for (*_, length, _), a, b in zip(cases, found, due, strict=True)
    ]
    if all(inside):
        return "the clip's rows are right; rows of padding must be zeros."
    others: list[Mistake] = [
        (_all_keys, "keys of the padding take part: what lies past `length` must get no weight."),
        (
            _softmax_of_tiles,
            "you add up the softmax of each tile; weights must be relative to the whole row.",
        ),
        (_whole_tiles_only, "the last tile is missing where it is not full."),
    ]
    planted: list[Mistake] = [
        (
            lambda q, k, v, length, tile, name=name: (
                flash_steps(q, k, v, length=length, tile=tile, fault=name).out
            ),
            f"{fault.title}: {fault.symptom}",
        )
        for name, fault in FAULTS.items()
    ]
    message = mistake_made([*others, *planted], cases, found, close)
    if message is None and any(bool(x.isnan().any()) for x in found):
        message = "there is NaN in it: a row without any key so far, or a division by a sum of 0."
    return message or "go through one tile of queries by hand, and look which rows are wrong."


def _error(one: Tensor, other: Tensor) -> str:
    return f"off by {float((one - other).abs().max()):.2g}"
