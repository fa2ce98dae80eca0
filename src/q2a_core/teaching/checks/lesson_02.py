"""Lesson 02: attention by hand, with padding, and how far a token reaches."""

from collections.abc import Callable
from typing import Any

import numpy as np

from q2a_core import lengths
from q2a_core.teaching.checks.numbers import some_numbers, table_of
from q2a_core.teaching.exercise import Exercise, Verdict, call, passed, wrong

ENCODER_LAYERS = (
    (lengths.N_FFT, lengths.HOP_LENGTH),
    (3, 1),
    (3, lengths.CONV_STRIDE),
    (lengths.POOL_STRIDE, lengths.POOL_STRIDE),
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


def judge_attention(answer: Any) -> Verdict:
    """softmax(q k^T / sqrt(Dh)) v."""
    from q2a_core.teaching.checks import lesson_02_attention

    return lesson_02_attention.judge_attention(answer)


def judge_padding(answer: Any) -> Verdict:
    """Attention that does not read what lies behind a clip's end."""
    from q2a_core.teaching.checks import lesson_02_attention

    return lesson_02_attention.judge_padding(answer)


def judge_field(answer: Any) -> Verdict:
    """Receptive field and step of a stack of layers."""
    rows, right, pairs = [], True, []
    for layers in STACKS:
        value = call(answer, [tuple(layer) for layer in layers])
        pair = some_numbers(value, 2)
        if pair is None:
            return wrong(
                f"expected two numbers, (size, step), in samples of the first layer's input; found {value!r}."
            )
        found, due = tuple(pair.tolist()), field(layers)
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
            f"from samples to tokens: {size} samples, {1000 * size / lengths.SAMPLE_RATE:g} ms, a token every "
            f"{1000 * step / lengths.SAMPLE_RATE:g} ms.",
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

    mistakes: dict[str, Callable[[Any], tuple[int, ...]]] = {
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
    if some_numbers(first, 2) is None:
        return wrong(f"expected two numbers, (start, stop) in samples; found {first!r}.")
    found = table_of((call(answer, token) for token in tokens), 2)
    if found is None:
        return wrong("two numbers for token 10, but not for every token.")
    due = np.array([lengths.token_receptive_field(token) for token in tokens])
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
    start, hop, half = 640 * token, lengths.HOP_LENGTH, lengths.N_FFT // 2
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
        "last axis is the keys. scores.masked_fill(mask, float('-inf')) before the softmax.",
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
