"""Lesson 02's judges: the right answer passes however it is written, and each usual mistake is named."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from q2a_core import lengths
from q2a_core.teaching.checks import exercise, exercises_of
from q2a_core.teaching.checks.lesson_02 import ENCODER_LAYERS, field
from q2a_core.teaching.exercise import judged


def verdict(name: str, answer):
    return judged(exercise(name), answer)


def attend(scores, v, axis=-1):
    return scores.softmax(axis) @ v


def scores_of(q, k, scale=None):
    return torch.einsum("bhqd,bhkd->bhqk", q, k) * (q.shape[-1] ** -0.5 if scale is None else scale)


def naive_softmax(q, k, v):
    weights = scores_of(q, k).exp()
    return (weights / weights.sum(-1, keepdim=True)) @ v


def swapped(q, k, v):
    scores = scores_of(q, k)
    return attend(scores.transpose(-1, -2) if q.shape[2] == k.shape[2] else scores, v)


ATTENTION_MISTAKES = {
    "the scale is missing": lambda q, k, v: attend(scores_of(q, k, 1.0), v),
    "divided by Dh": lambda q, k, v: attend(scores_of(q, k, 1 / q.shape[-1]), v),
    "it divides": lambda q, k, v: attend(scores_of(q, k, q.shape[-1] ** 0.5), v),
    "the whole model's width": lambda q, k, v: attend(
        scores_of(q, k, (q.shape[1] * q.shape[-1]) ** -0.5), v
    ),
    "over the wrong axis": lambda q, k, v: attend(scores_of(q, k), v, -2),
    "over the heads": lambda q, k, v: attend(scores_of(q, k), v, 1),
    "no softmax": lambda q, k, v: scores_of(q, k) @ v,
    "exp without the sum": lambda q, k, v: scores_of(q, k).exp() @ v,
    "after the softmax": lambda q, k, v: attend(scores_of(q, k, 1.0), v) * q.shape[-1] ** -0.5,
    "changed places: a query's row": swapped,
    "keys and values changed": lambda q, k, v: attend(scores_of(q, v), k),
    "these are the weights": lambda q, k, v: scores_of(q, k).softmax(-1),
    "heads and time": lambda q, k, v: attend(scores_of(q, k), v).transpose(1, 2),
    "large ones overflow": naive_softmax,
    "unmixed": lambda q, k, v: v,
}


def masked(scores, mask, v):
    return attend(scores.masked_fill(~mask, float("-inf")), v)


def keys_before(k, lengths):
    return (torch.arange(k.shape[2]) < lengths[:, None])[:, None, None, :]


def padded(change, fill=None):
    """An answer with a mask made by `change(place, lengths)`, (B, T) or broadcast to it."""

    def answer(q, k, v, lengths):
        mask = change(torch.arange(k.shape[2]), lengths[:, None]).expand(len(lengths), -1)
        mask = mask[:, None, None, :]
        scores = scores_of(q, k)
        if fill is not None:
            return attend(scores.masked_fill(~mask, fill), v)
        return masked(scores, mask, v)

    return answer


def one_by_one(q, k, v, lengths):
    """Each clip alone, without any mask."""
    out = torch.zeros_like(q)
    for clip, n in enumerate(lengths.tolist()):
        part = [x[clip : clip + 1, :, :n] for x in (q, k, v)]
        out[clip, :, :n] = F.scaled_dot_product_attention(*part)[0]
    return out


def masked_queries(q, k, v, lengths):
    mask = keys_before(k, lengths).transpose(-1, -2)
    return attend(scores_of(q, k).masked_fill(~mask, -1e9), v)


PADDING_MISTAKES = {
    "changes nothing": lambda q, k, v, lengths: attend(scores_of(q, k), v),
    "one key too many": padded(lambda place, n: place <= n),
    "one key too few": padded(lambda place, n: place < (n - 1).clamp(min=1)),
    "wrong way round": padded(lambda place, n: place >= n, fill=-1e9),
    "masked after the softmax": lambda q, k, v, lengths: (
        (scores_of(q, k).softmax(-1) * keys_before(k, lengths)) @ v
    ),
    "exp(0) is 1": lambda q, k, v, lengths: attend(scores_of(q, k) * keys_before(k, lengths), v),
    "the queries are masked": masked_queries,
    "the shortest one's": padded(lambda place, n: (place < n.min())[None]),
    "the first clip's": padded(lambda place, n: place < n[:1]),
    "the left side": padded(lambda place, n: place >= len(place) - n),
    "causal": lambda q, k, v, lengths: masked(
        scores_of(q, k),
        keys_before(k, lengths) & torch.ones(k.shape[2], k.shape[2]).tril().bool(),
        v,
    ),
    "not finite": lambda q, k, v, lengths: masked(
        scores_of(q, k), keys_before(k, lengths) & (lengths > 3)[:, None, None, None], v
    ),
}


def walk(layers, *, own=False, strides=True, less=1):
    size = step = 1
    for kernel, stride in layers:
        size += (kernel - less) * ((step * stride if own else step) if strides else 1)
        step *= stride
    return size, step


FIELD_MISTAKES = {
    "have changed places": lambda layers: walk(layers)[::-1],
    "own stride is counted": lambda layers: walk(layers, own=True),
    "strides are ignored": lambda layers: walk(layers, strides=False),
    "whole kernels are added": lambda layers: walk(layers, less=0),
    "from the last to the first": lambda layers: walk(layers[::-1]),
    "one too few": lambda layers: (walk(layers)[0] - 1, walk(layers)[1]),
    "the last layer's stride": lambda layers: (walk(layers)[0], layers[-1][1]),
    "the sum of the strides": lambda layers: (walk(layers)[0], sum(s for _, s in layers)),
    "kernels are multiplied": lambda layers: (
        math.prod(kernel for kernel, _ in layers),
        walk(layers)[1],
    ),
    "the size is not": lambda layers: (2 * walk(layers)[0], walk(layers)[1]),
    "two numbers": lambda layers: walk(layers)[0],
}


def span(token):
    centres = [160 * frame for frame in range(4 * token - 2, 4 * token + 5)]
    return [centres[0] - 200, centres[-1] + 200]


def moved(by, width=1360):
    return lambda token: (640 * token + by, 640 * token + by + width)


SPAN_MISTAKES = {
    "cut off at the clip's beginning": lambda token: tuple(max(0, x) for x in span(token)),
    "stop is one more": lambda token: (span(token)[0], span(token)[1] - 1),
    "this is the stride": moved(0, 640),
    "right width, but it begins at the token's own": moved(0),
    "half a window lies before": moved(-320),
    "padding is forgotten": moved(-200),
    "only one convolution's padding": moved(-360),
    "centres, not windows": moved(-320, 960),
    "the width is right": moved(-123),
    "two numbers": lambda token: 640 * token,
    "not for every token": lambda token: span(token) if token < 700 else [0],
}


def planted(table: dict):
    return pytest.mark.parametrize(("phrase", "answer"), table.items(), ids=table)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("02.attention", F.scaled_dot_product_attention),
        ("02.padding", one_by_one),
        ("02.padding", padded(lambda place, n: place < n)),
        ("02.field", lambda layers: list(field(tuple(layers)))),
        ("02.field", lambda layers: np.array(field(tuple(layers)))),
        ("02.field", lambda layers: torch.tensor(field(tuple(layers)))),
        ("02.span", span),
        ("02.span", lambda token: np.array(span(token))),
        ("02.span", lambda token: [span(token)]),
        ("02.span", lambda token: torch.tensor([span(token)])),
    ],
)
def test_the_right_answer_passes(name, answer):
    found = verdict(name, answer)
    assert found, found.message


@planted(ATTENTION_MISTAKES)
def test_attention(phrase, answer):
    found = verdict("02.attention", answer)
    assert found.state == "wrong"
    assert phrase in found.message


@planted(PADDING_MISTAKES)
def test_padding(phrase, answer):
    found = verdict("02.padding", answer)
    assert found.state == "wrong"
    assert phrase in found.message


@planted(FIELD_MISTAKES)
def test_field(phrase, answer):
    found = verdict("02.field", answer)
    assert found.state == "wrong"
    assert phrase in found.message


@planted(SPAN_MISTAKES)
def test_span(phrase, answer):
    found = verdict("02.span", answer)
    assert found.state == "wrong"
    assert phrase in found.message


def test_the_field_s_oracle_is_the_arithmetic_of_the_package():
    assert field(ENCODER_LAYERS) == (lengths.RECEPTIVE_FIELD_SAMPLES, lengths.SAMPLES_PER_TOKEN)


@pytest.mark.parametrize("item", exercises_of("02"), ids=lambda item: item.id)
def test_a_stub_and_garbage_get_a_sentence(item):
    stub = judged(item, lambda *given: None)
    assert stub.state == "unfilled"
    assert item.hint in stub.message
    for garbage in ("tokens", lambda *given: "many", lambda *given: {}, 3):
        found = judged(item, garbage)
        assert found.state == "wrong"
        assert len(found.message) > 20
        assert "Traceback" not in found.message
