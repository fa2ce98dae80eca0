"""Lesson 02: attention by hand, with padding, and how far a token reaches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from q2a_core import lengths as rates
from q2a_core.kernels.attention_reference import attention_reference
from q2a_core.teaching.checks.usual_mistakes import array_of, first_that_fits, near, wrong_shape
from q2a_core.teaching.exercise import Exercise, Verdict, call, passed, wrong

TOLERANCE = 1e-4
SHAPES = ((1, 2, 9, 9, 16), (2, 3, 5, 11, 8), (3, 1, 7, 7, 24))
"""Batch, heads, queries, keys, head width."""
LENGTHS = ((4, 9, 1), (6, 6), (1, 8, 3, 8))
ENCODER_LAYERS = (
    (rates.N_FFT, rates.HOP_LENGTH),
    (3, 1),
    (3, rates.CONV_STRIDE),
    (rates.POOL_STRIDE, rates.POOL_STRIDE),
)
"""Kernel and stride from samples to audio tokens: the window, two convolutions, the pool."""
STACKS = (
    ((5, 1),),
    ((3, 2), (3, 2), (3, 2)),
    ((2, 2), (3, 1), (4, 3)),
    ((3, 1), (3, 1)),
    ((10, 5), (3, 2), (2, 2), (2, 1)),
    ENCODER_LAYERS,
)


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


def judge_field(answer: Any) -> Verdict:
    """Receptive field and step of a stack of layers."""
    rows, right, pairs = [], True, []
    for layers in STACKS:
        value = call(answer, [tuple(layer) for layer in layers])
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            return wrong(
                f"expected two numbers, (size, step), in samples of the first layer's input; found {value!r}."
            )
        found, due = tuple(float(number) for number in value), field(layers)
        pairs.append((layers, found, due))
        rows.append(
            (
                " ".join(f"{kernel}/{stride}" for kernel, stride in layers),
                f"{found[0]:g}, {found[1]:g}",
                f"{due[0]}, {due[1]}",
            )
        )
        right = right and found == due
    if right:
        size, step = field(ENCODER_LAYERS)
        return passed(
            f"from samples to tokens: {size} samples, {1000 * size / rates.SAMPLE_RATE:g} ms, a token every "
            f"{1000 * step / rates.SAMPLE_RATE:g} ms.",
            rows=tuple(rows),
        )
    return wrong(_field_mistake(pairs), rows=tuple(rows))


def field(layers: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    """(size, step) by walking back from one output to the first and the last input that it reads."""
    ends = []
    for output in (0, 1):
        first = last = output
        for kernel, stride in reversed(layers):
            first, last = first * stride, last * stride + kernel - 1
        ends.append((first, last))
    return ends[0][1] - ends[0][0] + 1, ends[1][0] - ends[0][0]


def _field_mistake(pairs: list[tuple[Any, tuple[float, ...], tuple[int, int]]]) -> str:
    def walk(
        layers: Any, *, own: bool = False, strides: bool = True, less: int = 1
    ) -> tuple[int, int]:
        size, step = 1, 1
        for kernel, stride in layers:
            reach = step * stride if own else step
            size += (kernel - less) * (reach if strides else 1)
            step *= stride
        return size, step

    mistakes: dict[str, Callable[[Any], tuple[int, int]]] = {
        "(size, step) have changed places.": lambda layers: field(layers)[::-1],
        "a layer's own stride is counted for its own kernel: a kernel's places are as far apart as the layers "
        "before it have made them.": lambda layers: walk(layers, own=True),
        "strides are ignored in the size: behind a stride of 2 a kernel reaches twice as far.": lambda layers: (
            walk(layers, strides=False)
        ),
        "whole kernels are added: the first place of a kernel is there already, so k - 1 are new.": lambda layers: (
            walk(layers, less=0)
        ),
        "the layers are walked from the last to the first: the input comes first.": lambda layers: (
            walk(layers[::-1])
        ),
        "one too few: begin with the one place that a value of the input is.": lambda layers: (
            field(layers)[0] - 1,
            field(layers)[1],
        ),
        "the step is only the last layer's stride: strides multiply.": lambda layers: (
            field(layers)[0],
            layers[-1][1],
        ),
        "the step is the sum of the strides: they multiply.": lambda layers: (
            field(layers)[0],
            sum(stride for _, stride in layers),
        ),
        "kernels are multiplied: they overlap, so their reaches add up.": lambda layers: (
            int(np.prod([kernel for kernel, _ in layers])),
            field(layers)[1],
        ),
    }
    for message, mistaken in mistakes.items():
        if all(found == mistaken(layers) for layers, found, _ in pairs):
            return message
    if all(found[1] == due[1] for _, found, due in pairs):
        return "the step is right, the size is not: each layer adds (kernel - 1) times the step before it."
    return "begin with size 1 and step 1; a layer adds (kernel - 1) steps to the size, then multiplies the step."


def judge_span(answer: Any) -> Verdict:
    """Samples that a token reads."""
    tokens = range(750)
    first = call(answer, 10)
    if not isinstance(first, (tuple, list)) or len(first) != 2:
        return wrong(f"expected two numbers, (start, stop) in samples; found {first!r}.")
    found = np.array([answer(token) for token in tokens], dtype=np.float64)
    due = np.array([rates.token_receptive_field(token) for token in tokens])
    rows = tuple(
        (f"token {token}", "{:g} to {:g}".format(*found[token]), "{} to {}".format(*due[token]))
        for token in (0, 1, 10, 749)
    )
    if (found == due).all():
        return passed(
            "it begins before the token does: centred windows and padded convolutions look both ways.",
            rows=rows,
        )
    token = np.arange(len(due))
    start, hop, half = 640 * token, rates.HOP_LENGTH, rates.N_FFT // 2
    mistakes = {
        "cut off at the clip's beginning: the first tokens read padding and mirrored sound there. Report the span "
        "itself, also below 0.": np.maximum(due, 0),
        "the last sample is given as the stop: a span is [start, stop), so stop is one more.": (
            due - np.array([0, 1])
        ),
        "this is the stride, what the token stands for: it reads more than its own 40 ms.": (
            np.stack([start, start + 640], 1)
        ),
        "right width, but it begins at the token's own first sample: both convolutions are padded by one and "
        "windows are centred, which shifts it back.": np.stack([start, start + 1360], 1),
        "windows are centred on their frame: half a window lies before the first centre, and yours begins there.": (
            np.stack([start - 2 * hop, start - 2 * hop + 1360], 1)
        ),
        "the convolutions' padding is forgotten: token 0 reads from mel frame -2 on.": np.stack(
            [start - half, start - half + 1360], 1
        ),
        "only one convolution's padding is counted: the second one is padded too, and the first reaches one mel "
        "frame further.": np.stack([start - hop - half, start - hop - half + 1360], 1),
        "centres, not windows: the first and the last frame read 200 samples to either side of theirs.": np.stack(
            [start - 2 * hop, start + 4 * hop], 1
        ),
    }
    for message, mistaken in mistakes.items():
        if (found == mistaken).all():
            return wrong(message, rows=rows)
    if (np.diff(found, axis=1) == 1360).all():
        return wrong("the width is right, 1,360 samples; where it begins is not.", rows=rows)
    return wrong(
        "go back step by step: encoder frames of the token, then mel frames, then the windows around them.",
        rows=rows,
    )


EXERCISES = (
    Exercise(
        id="02.attention",
        title="Scaled dot-product attention",
        difficulty=2,
        importance=5,
        minutes=5,
        hint="Three lines: scores = q @ k.transpose(-1, -2) times a scale, softmax over the keys, and the mix of v. "
        "The head width is q.shape[-1].",
        judge=judge_attention,
    ),
    Exercise(
        id="02.padding",
        title="Clips of unequal length",
        difficulty=3,
        importance=5,
        minutes=6,
        hint="torch.arange(longest) < lengths[:, None] is (B, T); it must line up with scores (B, H, Tq, Tk), whose "
        "last axis are the keys. scores.masked_fill(mask, float('-inf')) before the softmax.",
        judge=judge_padding,
    ),
    Exercise(
        id="02.field",
        title="Receptive field of a stack",
        difficulty=3,
        importance=4,
        minutes=5,
        hint="Begin with size 1 and step 1 at the input. What does a kernel of 3 add if its places are `step` samples "
        "apart?",
        judge=judge_field,
    ),
    Exercise(
        id="02.span",
        title="Where it lies",
        difficulty=4,
        importance=2,
        minutes=6,
        hint="Token a averages encoder frames 2a and 2a + 1. Encoder frame e reads three frames around 2e, each of "
        "those three around itself, and mel frame f is a window of 400 samples centred on sample 160 f.",
        judge=judge_span,
    ),
)
