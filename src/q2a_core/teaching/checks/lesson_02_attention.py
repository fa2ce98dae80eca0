"""Lesson 02's judges of attention itself: without a mask, and in a batch of clips of unequal length.

Apart from the others because they need torch, which the list of exercises does not wait for.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from q2a_core.kernels.attention_reference import attention_reference
from q2a_core.teaching.checks.mistakes import first_that_fits
from q2a_core.teaching.checks.numbers import array_of, near, wrong_shape
from q2a_core.teaching.exercise import Verdict, call, passed, wrong

TOLERANCE = 1e-4
SHAPES = ((1, 2, 9, 9, 16), (2, 3, 5, 11, 8), (3, 1, 7, 7, 24))
"""Batch, heads, queries, keys, head width."""
LENGTHS = ((4, 9, 1), (6, 6), (1, 8, 3, 8))
"""Frames of the clips of each batch."""


def _numbers(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def judge_attention(answer: Any) -> Verdict:
    """softmax(q k^T / sqrt(Dh)) v."""
    found = due = np.zeros(0)
    for seed, (batch, heads, queries, keys, width) in enumerate(SHAPES):
        q, k, v = _numbers(seed, (batch, heads, queries, width), *[(batch, heads, keys, width)] * 2)
        due = array_of(attention_reference(q, k, v))
        found = array_of(call(answer, q.clone(), k.clone(), v.clone()))
        if near(found, due, TOLERANCE):
            continue
        if found.shape != due.shape:
            return wrong(_attention_shape(found, due, keys), yours=found, expected=due)
        return wrong(_attention_mistake(found, q, k, v), yours=found, expected=due)
    q, k, v = _numbers(9, *[(1, 1, 4, 16)] * 3)
    loud = array_of(call(answer, 100 * q, k, v))
    if not near(loud, array_of(attention_reference(100 * q, k, v)), TOLERANCE):
        return wrong(
            "right for small scores, but large ones overflow: exp(100) is no float32 any more. Take each row's maximum "
            "off before exp, or let softmax do it.",
            yours=loud,
            expected=attention_reference(100 * q, k, v),
        )
    return passed(
        "equal to the reference kernel, for as many queries as keys and for fewer, loud scores included.",
        yours=found,
        expected=due,
    )


def _attention_shape(found: np.ndarray, due: np.ndarray, keys: int) -> str:
    if found.shape == (*due.shape[:3], keys):
        return (
            "these are the weights, one for each key: the values are still to be mixed with them."
        )
    if found.shape == due.transpose(0, 2, 1, 3).shape:
        return "heads and time have changed places: the layout stays (B, H, T, Dh)."
    return wrong_shape(found, due)


def _attention_mistake(found: np.ndarray, q: Tensor, k: Tensor, v: Tensor) -> str:
    width, heads = q.shape[-1], q.shape[1]
    scores = q @ k.transpose(-1, -2)
    scaled = scores * width**-0.5

    def mixed(weights: Tensor) -> Callable[[], np.ndarray]:
        return lambda: (weights @ v).numpy()

    mistakes = {
        "the scale is missing: dot products of wide vectors are large, and softmax of them is nearly one-hot.": (
            mixed(scores.softmax(-1))
        ),
        "divided by Dh: the scale is its square root.": mixed((scores / width).softmax(-1)),
        "multiplied with the square root of Dh: it divides.": mixed(
            (scores * width**0.5).softmax(-1)
        ),
        "the scale is taken from the whole model's width: it is one head's width, the last axis of q.": (
            mixed((scores * (heads * width) ** -0.5).softmax(-1))
        ),
        "softmax over the wrong axis: a query's weights over the keys add up to one, and yours do over the queries.": (
            mixed(scaled.softmax(-2))
        ),
        "softmax over the heads: each head has weights of its own, over the keys.": mixed(
            scaled.softmax(1)
        ),
        "no softmax: raw scores are no weights, they may be negative and add up to anything.": mixed(
            scaled
        ),
        "exp without the sum under it: the weights of a query add up to one.": mixed(scaled.exp()),
        "the scale came after the softmax: it belongs to the scores.": (
            mixed(scores.softmax(-1) * width**-0.5)
        ),
        "queries and keys changed places: a query's row says what it reads.": (
            mixed(scaled.transpose(-1, -2).softmax(-1))
            if q.shape[2] == k.shape[2]
            else lambda: np.zeros(0)
        ),
        "keys and values changed places.": (
            lambda: ((q @ v.transpose(-1, -2) * width**-0.5).softmax(-1) @ k).numpy()
        ),
    }
    if found.shape == v.shape:
        mistakes["the values come out unmixed."] = lambda: v.numpy()
    return first_that_fits(found, mistakes, TOLERANCE) or (
        "shape right, values not: scores q @ kᵀ, times Dh ** -0.5, softmax over the keys, times v."
    )


def judge_padding(answer: Any) -> Verdict:
    """Attention in a batch of clips of unequal length: what is behind a clip's end is not read."""
    found = due = np.zeros(0)
    for seed, lengths in enumerate(LENGTHS):
        longest = max(lengths)
        q, k, v = _numbers(seed, *[(len(lengths), 2, longest, 8)] * 3)
        count = torch.tensor(lengths)
        junk = (torch.arange(longest) >= count[:, None])[:, None, :, None]
        k, v = k.masked_fill(junk, 3.0), v.masked_fill(junk, 50.0)
        due = array_of(attention_reference(q, k, v, lengths=count))
        found = array_of(call(answer, q.clone(), k.clone(), v.clone(), count.clone()))
        if found.shape != due.shape:
            return wrong(wrong_shape(found, due), yours=found, expected=due)
        # rows behind a clip's end are nobody's; only the clips' own are compared
        own = np.broadcast_to(~junk.numpy(), due.shape)
        whole = found
        found, due = np.where(own, found, 0.0), np.where(own, due, 0.0)
        if not near(found, due, TOLERANCE):
            message = _padding_mistake(found, whole, own, q, k, v, count)
            return wrong(message, yours=found[-1], expected=due[-1])
    return passed(
        "each clip of the batch comes out as if it were alone, whatever lies behind its end.",
        yours=found[0],
        expected=due[0],
    )


def _padding_mistake(
    found: np.ndarray,
    whole: np.ndarray,
    own: np.ndarray,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    count: Tensor,
) -> str:
    """`found` is zero where padding reads, `whole` is what was given there too."""
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    place = torch.arange(q.shape[2])
    keep = (place < count[:, None])[:, None, None, :]
    soft = scores.softmax(-1)

    def mixed(weights: Tensor) -> Callable[[], np.ndarray]:
        return lambda: np.where(own, (weights @ v).numpy(), 0.0)

    def masked(mask: Tensor) -> Callable[[], np.ndarray]:
        return mixed(scores.masked_fill(~mask, -1e30).softmax(-1))

    if not np.isfinite(found).all():
        return "not finite: a row whose keys are all hidden has nothing to add up. Hide keys, not whole queries."
    unmasked = (soft @ v).numpy()
    if near(found, np.where(own, unmasked, 0.0), TOLERANCE) and not near(
        whole, unmasked, TOLERANCE
    ):
        return "the queries are masked, not the keys: a clip's own frames still read the padding."
    mistakes = {
        "`lengths` changes nothing: padding is read like sound.": mixed(soft),
        "one key too many: a clip of n frames has the keys 0 to n - 1.": masked(
            (place <= count[:, None])[:, None, None, :]
        ),
        "one key too few: the clip's last frame may be read.": masked(
            (place < (count[:, None] - 1).clamp(min=1))[:, None, None, :]
        ),
        "the mask is the wrong way round: it keeps the padding and hides the clip.": masked(~keep),
        "masked after the softmax, or values set to zero: padding has taken its share, the rest is too little.": (
            mixed(soft * keep)
        ),
        "scores of padding are set to 0, and exp(0) is 1: it is still read. Minus infinity gives no weight.": (
            mixed((scores * keep).softmax(-1))
        ),
        "every clip is cut to the shortest one's length: each has its own.": masked(
            (place < count.min())[None, None, None, :]
        ),
        "the first clip's length is taken for all: each has its own.": masked(
            (place < count[0])[None, None, None, :]
        ),
        "the left side is taken for the padded one: here the clips come first and the padding after them.": masked(
            (place >= (len(place) - count)[:, None])[:, None, None, :]
        ),
        "causal: a frame reads only what came before it. The encoder looks both ways.": masked(
            keep & (place <= place[:, None])
        ),
    }
    return first_that_fits(found, mistakes, TOLERANCE) or (
        "shape right, values not: scores of keys at or behind a clip's length become minus infinity, then softmax."
    )
