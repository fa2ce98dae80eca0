"""Attention: the reference against the formula written out by hand, every backend against the reference."""

import sys
from itertools import accumulate

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from q2a_core.errors import BackendError
from q2a_core.kernels import (
    BACKENDS,
    attention,
    attention_map,
    attention_mask,
    attention_weights,
    resolve_backend,
)

FAST = [backend for backend in BACKENDS if backend not in ("auto", "reference", "triton")]


def qkv(batch=2, heads=4, kv_heads=4, tq=7, tk=7, width=8, seed=0, grad=False):
    rng = torch.Generator().manual_seed(seed)
    shapes = ((batch, heads, tq, width), *[(batch, kv_heads, tk, width)] * 2)
    return tuple(torch.randn(shape, generator=rng).requires_grad_(grad) for shape in shapes)


def by_hand(q, k, v, *, is_causal, lengths, side):
    """One query at a time, one key at a time, in fp64; with as many queries as keys, padding asks nothing."""
    batch, heads, tq, width = q.shape
    kv_heads, tk = k.shape[1:3]
    out = torch.zeros_like(q, dtype=torch.float64)
    for b in range(batch):
        count = tk if lengths is None else int(lengths[b])
        valid = range(count) if side == "right" else range(tk - count, tk)
        for h in range(heads):
            shared = h // (heads // kv_heads)
            for i in valid if tq == tk else range(tq):
                keys = [j for j in valid if not is_causal or j - tk <= i - tq]
                if keys:
                    scores = q[b, h, i].double() @ k[b, shared, keys].double().T / width**0.5
                    out[b, h, i] = scores.softmax(-1) @ v[b, shared, keys].double()
    return out.float()


CASES = {
    "plain": {},
    "causal": {"is_causal": True},
    "one query": {"tq": 1, "tk": 9, "is_causal": True},
    "one query, grouped": {"tq": 1, "tk": 9, "kv_heads": 2, "is_causal": True},
    "one query, grouped, left": {
        "tq": 1,
        "tk": 9,
        "kv_heads": 2,
        "lengths": [9, 4],
        "is_causal": True,
        "side": "left",
    },
    "one query, grouped, right, one empty": {"tq": 1, "kv_heads": 1, "lengths": [0, 4]},
    "one query, as many heads a group as keys": {
        "tq": 1,
        "tk": 2,
        "kv_heads": 2,
        "lengths": [1, 2],
    },
    "one query, as many heads a group as keys, left": {
        "tq": 1,
        "tk": 4,
        "kv_heads": 1,
        "lengths": [1, 3],
        "is_causal": True,
        "side": "left",
    },
    "newest four of nine": {"tq": 4, "tk": 9, "is_causal": True},
    "more queries than keys": {"tq": 9, "tk": 4, "is_causal": True},
    "bidirectional, unequal": {"tq": 3, "tk": 8},
    "grouped": {"kv_heads": 2, "is_causal": True},
    "one shared head": {"kv_heads": 1, "tq": 2, "tk": 6, "is_causal": True},
    "lengths right": {"lengths": [7, 3]},
    "lengths left": {"lengths": [7, 3], "side": "left"},
    "lengths right, causal": {"lengths": [5, 1], "is_causal": True},
    "lengths left, causal": {"lengths": [5, 2], "is_causal": True, "side": "left"},
    "left, grouped, newest three": {
        "lengths": [9, 4],
        "is_causal": True,
        "side": "left",
        "kv_heads": 2,
        "tq": 3,
        "tk": 9,
    },
    "an empty row": {"lengths": [0, 7]},
    "an empty row, left, causal": {"lengths": [0, 2], "is_causal": True, "side": "left"},
    "long": {"tq": 63, "tk": 128, "is_causal": True, "heads": 2, "kv_heads": 1, "batch": 1},
    "odd": {"tq": 111, "tk": 111, "batch": 1, "heads": 1, "kv_heads": 1, "lengths": [50]},
}


def case(name: str, *, grad: bool = False):
    options = dict(CASES[name])
    lengths, side = options.pop("lengths", None), options.pop("side", "right")
    is_causal = options.pop("is_causal", False)
    tensors = qkv(**options, seed=list(CASES).index(name), grad=grad)
    lengths = None if lengths is None else torch.tensor(lengths)
    return tensors, {"is_causal": is_causal, "lengths": lengths, "padding_side": side}


@pytest.mark.parametrize("name", CASES)
def test_the_reference_is_the_formula(name):
    tensors, options = case(name)
    found = attention(*tensors, **options, backend="reference")
    side = options.pop("padding_side")
    torch.testing.assert_close(found, by_hand(*tensors, **options, side=side), rtol=0, atol=1e-5)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("name", CASES)
def test_backends_agree_forward_and_backward(name, backend):
    tensors, options = case(name, grad=True)
    weights = torch.randn(tensors[0].shape, generator=torch.Generator().manual_seed(99))
    gradients = []
    for chosen in ("reference", backend):
        out = attention(*tensors, **options, backend=chosen)
        gradients.append((out.detach(), *torch.autograd.grad((out * weights).sum(), tensors)))
    for expected, found in zip(*gradients, strict=True):
        assert found.isfinite().all()
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("backend", ["reference", *FAST])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_keeps_its_type(backend, dtype):
    """Within a few roundings of the output's own precision."""
    q, k, v = (x.to(dtype) for x in qkv(tq=20, tk=20))
    found = attention(q, k, v, is_causal=True, backend=backend)
    assert found.dtype == dtype
    expected = attention(q.float(), k.float(), v.float(), is_causal=True, backend="reference")
    bound = 8 * torch.finfo(dtype).eps
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=bound)
    if backend == "reference":
        assert torch.equal(found, expected.to(dtype)), "fp32 inside, rounded once"
        weights = attention_weights(q, k, is_causal=True)
        torch.testing.assert_close(attention_map(q, k, is_causal=True), weights, rtol=0, atol=1e-6)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("tq", [1, 6])
@pytest.mark.parametrize("kv_heads", [2, 4])
def test_a_scale_of_ones_own_counts_whatever_the_heads(backend, tq, kv_heads):
    q, k, v = qkv(tq=tq, tk=6, kv_heads=kv_heads)
    expected, found = (
        attention(q, k, v, scale=1.7, backend=name) for name in ("reference", backend)
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
    assert not torch.allclose(found, attention(q, k, v, backend=backend), atol=1e-3)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "triton"),
        ({"head_dim": 128}, "triton"),
        ({"head_dim": 129}, "sdpa"),
        ({"head_dim": 15}, "sdpa"),
        ({"dtype": torch.float64}, "sdpa"),
        ({"rows": 65_535}, "triton"),
        ({"rows": 65_536}, "sdpa"),
        ({"device": "cpu"}, "sdpa"),
    ],
    ids=str,
)
def test_auto_takes_triton_for_what_it_takes(monkeypatch, asked, expected):
    """As on a GPU that suits it."""
    file = sys.modules["q2a_core.kernels.attention"]  # the package's own name is the function
    monkeypatch.setattr(file, "triton_is_installed", lambda: True)
    monkeypatch.setattr(file, "_suits_triton", lambda device: True)
    options = {"device": "cuda", "head_dim": 64, "dtype": torch.bfloat16} | asked
    assert resolve_backend("auto", **options) == expected


@pytest.mark.parametrize("lengths", [None, torch.tensor([20, 7])], ids=["full", "ragged"])
@pytest.mark.parametrize("is_causal", [False, True])
def test_what_learns_in_bfloat16_on_a_cpu_is_computed_in_fp32(lengths, is_causal):
    """Nothing is rounded but what goes in and what comes out."""
    halves = [x.bfloat16().requires_grad_() for x in qkv(tq=20, tk=20)]
    exact = [x.detach().float().requires_grad_() for x in halves]
    options = {"is_causal": is_causal, "lengths": lengths, "backend": "sdpa"}
    expected = attention(*exact, **options)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attention(*halves, **options)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected.bfloat16())
    for mine, theirs in zip(
        torch.autograd.grad(found.sum(), halves),
        torch.autograd.grad(expected.sum(), exact),
        strict=True,
    ):
        assert torch.equal(mine, theirs.bfloat16())


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("what", [float("nan"), float("inf")], ids=str)
@pytest.mark.parametrize("tq", [1, 12])
@pytest.mark.parametrize("backend", ["reference", *FAST])
def test_what_padding_holds_never_matters(backend, tq, what, side):
    q, k, v = qkv(tq=tq, tk=12)
    lengths = torch.tensor([5, 12])
    clean = attention(q, k, v, lengths=lengths, padding_side=side, backend=backend)
    padding = slice(5, None) if side == "right" else slice(0, 7)
    k[0, :, padding] = what
    v[0, :, padding] = what
    if tq == 12:
        q[0, :, padding] = what
    dirty = attention(q, k, v, lengths=lengths, padding_side=side, backend=backend)
    torch.testing.assert_close(dirty, clean, rtol=0, atol=1e-6)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("backend", ["reference", *FAST])
def test_nan_in_padding_reaches_no_gradient(backend, is_causal, side):
    """Neither from q, k and v nor from what comes back to the padded outputs; valid rows learn as they do alone."""
    count, length = 5, 12
    tensors = [x[:1].requires_grad_() for x in qkv(tq=length, tk=length, kv_heads=2)]
    come_back = torch.randn(tensors[0].shape, generator=torch.Generator().manual_seed(7))
    valid = slice(0, count) if side == "right" else slice(length - count, None)
    alone = [x[:, :, valid] for x in tensors]
    expected = by_hand_gradients(alone, come_back[:, :, valid], is_causal)
    padding = torch.ones(length, dtype=torch.bool)
    padding[valid] = False
    with torch.no_grad():
        for x in (*tensors, come_back):
            x[:, :, padding] = float("nan")
    options = {"is_causal": is_causal, "lengths": torch.tensor([count]), "padding_side": side}
    out = attention(*tensors, **options, backend=backend)
    assert torch.all(out[:, :, padding] == 0)
    found = torch.autograd.grad(out, tensors, come_back)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.all(ours[:, :, padding] == 0)
        torch.testing.assert_close(ours[:, :, valid], theirs, rtol=0, atol=2e-5)


@pytest.mark.parametrize("kv_heads", [2, 4])
@pytest.mark.parametrize("backend", ["reference", *FAST])
def test_nan_in_a_single_padded_position_reaches_no_gradient(backend, kv_heads):
    tensors = qkv(tq=1, tk=1, kv_heads=kv_heads, grad=True)
    with torch.no_grad():
        for x in tensors:
            x[0] = float("nan")
    out = attention(*tensors, lengths=torch.tensor([0, 1]), backend=backend)
    for gradient in torch.autograd.grad(out.sum(), tensors):
        assert torch.all(gradient[0] == 0)
        assert gradient.isfinite().all()


def by_hand_gradients(tensors, come_back, is_causal):
    """The softmax's derivative written out, for one sequence without padding."""
    q, k, v = (x.detach().double() for x in tensors)
    shared = q.shape[1] // k.shape[1]
    keys, values = k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
    scores = q @ keys.mT / q.shape[-1] ** 0.5
    if is_causal:
        scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), float("-inf"))
    weights, come_back = scores.softmax(-1), come_back.double()
    towards = come_back @ values.mT
    ds = weights * (towards - (weights * towards).sum(-1, keepdim=True)) / q.shape[-1] ** 0.5
    found = (ds @ keys, ds.mT @ q, weights.mT @ come_back)
    return [
        x.float() if x.shape == y.shape else x.unflatten(1, (-1, shared)).sum(2).float()
        for x, y in zip(found, tensors, strict=True)
    ]


@pytest.mark.parametrize("backend", ["reference", *FAST])
def test_masked_keys_weigh_nothing(backend):
    """Padding may hold anything finite, and the result is that of the shorter sequence."""
    q, k, v = qkv(tk=12)
    lengths = torch.tensor([5, 9])
    dirty_k, dirty_v = k.clone(), v.clone()
    for row, count in enumerate(lengths.tolist()):
        dirty_k[row, :, count:] = 1e4
        dirty_v[row, :, count:] = -1e4
    clean = attention(q, k, v, lengths=lengths, backend=backend)
    dirty = attention(q, dirty_k, dirty_v, lengths=lengths, backend=backend)
    torch.testing.assert_close(dirty, clean, rtol=0, atol=1e-5)
    alone = attention(q[:1], k[:1, :, :5], v[:1, :, :5], backend=backend)
    torch.testing.assert_close(clean[:1], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("backend", ["reference", *FAST])
def test_a_query_without_keys_gives_zeros(backend):
    q, k, v = qkv()
    out = attention(q, k, v, lengths=torch.tensor([0, 7]), backend=backend)
    assert torch.all(out[0] == 0)
    assert torch.any(out[1] != 0)


@pytest.mark.parametrize("backend", ["reference", *FAST])
def test_scale(backend):
    q, k, v = qkv()
    plain = attention(q, k, v, backend=backend)
    torch.testing.assert_close(attention(q, k, v, scale=8**-0.5, backend=backend), plain)
    scaled = attention(q * 2, k, v, scale=0.5 * 8**-0.5, backend=backend)
    torch.testing.assert_close(scaled, plain, rtol=0, atol=1e-5)
    uniform = attention(q, k, v, scale=0.0, backend=backend)
    torch.testing.assert_close(uniform, v.mean(2, keepdim=True).expand_as(q), rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [0.0, -0.3])
@pytest.mark.parametrize("backend", FAST)
def test_a_scale_without_a_positive_sign_leaves_the_causal_mask(backend, scale):
    q, k, v = qkv(grad=True)
    out = attention(q, k, v, is_causal=True, scale=scale, backend=backend)
    expected = attention(q, k, v, is_causal=True, scale=scale, backend="reference")
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-5)
    gradients = [torch.autograd.grad(x.square().sum(), (q, k, v)) for x in (out, expected)]
    torch.testing.assert_close(*gradients, rtol=0, atol=2e-5)


@pytest.mark.parametrize("backend", ["reference", *FAST])
@pytest.mark.parametrize("scale", [True, 1, torch.tensor(1.0), np.float32(1)], ids=repr)
def test_a_scale_may_be_any_number(backend, scale):
    q, k, v = qkv()
    expected = attention(q, k, v, scale=1.0, backend=backend)
    assert torch.equal(attention(q, k, v, scale=scale, backend=backend), expected)
    assert torch.equal(attention_map(q, k, scale=scale), attention_map(q, k, scale=1.0))


@pytest.mark.parametrize("backend", ["reference", *FAST])
@pytest.mark.parametrize(
    "scale",
    [
        torch.ones(2),
        torch.tensor(1.0, requires_grad=True),
        "large",
        float("nan"),
        float("inf"),
        torch.tensor(float("-inf")),
    ],
    ids=repr,
)
def test_a_scale_that_is_no_number_is_refused(backend, scale):
    q, k, v = qkv()
    for call in (
        lambda: attention(q, k, v, scale=scale, backend=backend),
        lambda: attention_weights(q, k, scale=scale),
        lambda: attention_map(q, k, scale=scale),
    ):
        with pytest.raises(ValueError, match=r"scale is .*; expected a number"):
            call()


@pytest.mark.parametrize("backend", ["reference", *FAST])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32], ids=str)
def test_lengths_of_any_whole_type(dtype, side, backend):
    """300 keys are more than eight bits hold."""
    q, k, v = qkv(tq=2, tk=300)
    lengths = torch.tensor([100, 7])
    options = {"padding_side": side, "backend": backend}
    expected = attention(q, k, v, lengths=lengths, **options)
    assert torch.equal(attention(q, k, v, lengths=lengths.to(dtype), **options), expected)


@pytest.mark.parametrize("name", ["grouped", "lengths left, causal"])
def test_autocast_rounds_neither_the_reference_nor_weights_nor_maps(name):
    """A score of 100 in bfloat16 is off by up to a quarter, and its weight by a fifth."""
    (q, k, v), options = case(name)
    q = 10 * q
    calls = (
        lambda: attention(q, k, v, **options, backend="reference"),
        lambda: attention_weights(q, k, **options),
        lambda: attention_map(q, k, **options, backend="sdpa"),
    )
    for call in calls:
        expected = call()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = call()
        assert found.dtype == torch.float32
        assert torch.equal(found, expected)


def test_a_pool_is_a_whole_number():
    q, k, _ = qkv()
    for one in (True, np.int64(1)):
        assert torch.equal(attention_map(q, k, pool=one), attention_map(q, k))
    with pytest.raises(ValueError, match=r"pool is 2\.0; expected one of 1, 2"):
        attention_map(q, k, pool=2.0)


def test_weights_sum_to_one_or_to_nothing():
    q, k, _ = qkv(tq=5, tk=9)
    lengths = torch.tensor([0, 4])
    weights = attention_weights(q, k, lengths=lengths)
    assert torch.all(weights[0] == 0)
    torch.testing.assert_close(weights[1].sum(-1), torch.ones(4, 5))
    assert torch.all(weights[1, :, :, 4:] == 0)


def test_the_causal_mask_is_bottom_right():
    q, k, _ = qkv(batch=1, tq=2, tk=4)
    mask = attention_mask(q, k, is_causal=True, lengths=None)
    assert mask is not None
    assert mask[0, 0].tolist() == [[True, True, True, False], [True, True, True, True]]


def test_backends_are_chosen_by_name():
    assert resolve_backend("auto") in BACKENDS
    assert resolve_backend("reference") == "reference"
    with pytest.raises(BackendError, match=r"no attention backend is called 'flash'.*sdpa"):
        attention(*qkv(), backend="flash")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": (4, 7, 8)}, "expected q"),
        ({"k": (2, 4, 6, 8)}, "expected q"),
        ({"q": (3, 4, 7, 8)}, "differ in batch"),
        ({"q": (2, 4, 7, 9)}, "differ in batch or head width"),
        ({"q": (2, 5, 7, 8)}, "heads do not divide"),
        ({"lengths": (3,)}, "expected \\(2,\\), one per sequence"),
        ({"lengths": (2, 1)}, "one per sequence"),
    ],
    ids=str,
)
def test_shapes_that_do_not_fit(change, message):
    shapes = {"q": (2, 4, 7, 8), "k": (2, 4, 7, 8), "v": (2, 4, 7, 8)} | change
    tensors = {name: torch.ones(shape) for name, shape in shapes.items()}
    with pytest.raises(ValueError, match=message):
        attention(**tensors)


def test_an_unknown_side_is_refused():
    with pytest.raises(ValueError, match="expected 'left' or 'right'"):
        attention(*qkv(), lengths=torch.tensor([1, 2]), padding_side="top")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": (2, 0, 7, 8), "v": (2, 0, 7, 8)}, "heads do not divide"),
        ({"lengths": [4, 4]}, "lengths is a list; expected a tensor"),
        ({"lengths": torch.tensor([4.0, 4.0])}, "of whole numbers"),
        ({"lengths": torch.tensor([4, 4], dtype=torch.complex64)}, "of whole numbers"),
        ({"lengths": torch.tensor([True, True])}, "of whole numbers"),
        ({"lengths": torch.tensor([-1, 4])}, r"lengths is \[-1, 4\]; expected 0 to 7 valid keys"),
        ({"lengths": torch.tensor([4, 8])}, r"lengths is \[4, 8\]; expected 0 to 7 valid keys"),
        ({"lengths": torch.ones(2, dtype=torch.long, device="meta")}, "lengths is on meta"),
        ({"v": torch.ones(2, 4, 7, 8, dtype=torch.float64)}, "one type on one device"),
        (dict.fromkeys("qkv", (2, 4, 7, 0)), "heads without width"),
    ],
    ids=[
        "no heads",
        "list",
        "float",
        "complex",
        "bool",
        "negative",
        "long",
        "meta",
        "types",
        "no width",
    ],
)
@pytest.mark.parametrize("backend", ["reference", *FAST])
def test_what_one_backend_refuses_all_refuse(change, message, backend):
    given = {"q": (2, 4, 7, 8), "k": (2, 4, 7, 8), "v": (2, 4, 7, 8)} | change
    tensors = {k: torch.ones(v) if isinstance(v, tuple) else v for k, v in given.items()}
    with pytest.raises(ValueError, match=message):
        attention(**tensors, backend=backend)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64], ids=str)
@pytest.mark.parametrize("backend", ["reference", *FAST])
def test_what_is_not_floating_point_is_refused(backend, dtype):
    """The reference would round its output to the type that it was given."""
    q, k, v = (x.to(dtype) for x in qkv())
    for call in (
        lambda: attention(q, k, v, backend=backend),
        lambda: attention_weights(q, k),
        lambda: attention_map(q, k, backend=backend),
    ):
        with pytest.raises(ValueError, match=r"q is of torch\..*; expected floating point"):
            call()


@pytest.mark.parametrize("of", [attention_map, attention_weights])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding_side": "middle"}, "expected 'left' or 'right'"),
        ({"lengths": torch.tensor([1])}, "one per sequence"),
        ({"k": torch.ones(1, 4, 7, 8)}, "differ in batch"),
        ({"k": torch.ones(2, 3, 7, 8)}, "heads do not divide"),
        ({"q": torch.ones(4, 7, 8)}, "expected q"),
    ],
    ids=["side", "lengths", "batch", "heads", "three"],
)
def test_weights_and_maps_refuse_the_same(of, options, message):
    given = {"q": torch.ones(2, 4, 7, 8), "k": torch.ones(2, 4, 7, 8)} | options
    with pytest.raises(ValueError, match=message):
        of(**given)


def test_rows_and_heads_of_a_map_may_be_lists_or_tensors_but_no_mask():
    q, k, _ = qkv()
    expected = attention_weights(q, k)[:, [1, 3]][:, :, [0, 5]]
    for rows, heads in (([0, 5], [1, 3]), (torch.tensor([0, 5]), torch.tensor([1, 3]))):
        found = attention_map(q, k, rows=rows, heads=heads)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"rows is of torch\.bool"):
        attention_map(q, k, rows=torch.tensor([True, False] * 3 + [True]))


@pytest.mark.parametrize(
    "heads", [[0.7], [True, False, True, False], torch.tensor([True, False]), 1, ["a"]], ids=repr
)
def test_heads_of_a_map_are_whole_numbers(heads):
    with pytest.raises(ValueError, match=r"heads is .*; expected a list of the numbers"):
        attention_map(*qkv()[:2], heads=heads)


def test_a_map_of_nothing_is_refused_in_words():
    q, k, _ = qkv()
    with pytest.raises(ValueError, match=r"has no keys; expected one or more"):
        attention_map(q, k[:, :, :0])
    with pytest.raises(ValueError, match=r"rows is \[\]; expected numbers from 0 to 6"):
        attention_map(q, k, rows=[])


@pytest.mark.parametrize("number", [-1, 7])
def test_rows_and_heads_that_are_not_there_are_refused(number):
    q, k, _ = qkv(heads=7, kv_heads=7)
    with pytest.raises(ValueError, match=rf"rows is \[{number}\]; expected numbers from 0 to 6"):
        attention_map(q, k, rows=[number])
    with pytest.raises(ValueError, match=rf"heads is \[{number}\]; expected numbers from 0 to 6"):
        attention_map(q, k, heads=[number])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("pool", [1, 4])
@pytest.mark.parametrize("cells", [1, 2**18], ids=["a head at once", "all heads at once"])
def test_maps_are_the_weights_pooled(monkeypatch, name, pool, cells):
    """Neighbouring keys added up, queries that see something averaged, one group at a time."""
    monkeypatch.setattr(sys.modules["q2a_core.kernels.attention_map"], "CELLS", cells)
    (q, k, _), options = case(name)
    full, found = attention_weights(q, k, **options), attention_map(q, k, pool=pool, **options)
    for row, queries in enumerate(full.split(pool, 2)):
        seeing = (queries.sum(-1) > 0).sum(-1).clamp(min=1)[..., None]
        sums = torch.stack([keys.sum((-2, -1)) for keys in queries.split(pool, 3)], -1)
        torch.testing.assert_close(found[:, :, row], sums / seeing, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pool", [2, 16, 32])
def test_rows_that_were_chosen_are_pooled_by_their_keys_alone(pool):
    q, k, _ = qkv(batch=1, heads=2, kv_heads=1, tq=300, tk=300)
    rows = torch.tensor([0, 7, 299])
    pooled = attention_map(q, k, pool=pool)
    assert pooled.shape == (1, 2, -(-300 // pool), -(-300 // pool))
    torch.testing.assert_close(pooled.sum(-1), torch.ones(pooled.shape[:3]), rtol=0, atol=1e-5)
    full, chosen = attention_weights(q, k), attention_map(q, k, rows=rows, pool=pool)
    expected = torch.stack([keys.sum(-1) for keys in full[:, :, rows].split(pool, 3)], -1)
    torch.testing.assert_close(chosen, expected, rtol=0, atol=1e-6)
    means = torch.stack([queries.mean(2) for queries in full.split(pool, 2)], 2)
    expected = torch.stack([keys.sum(-1) for keys in means.split(pool, 3)], -1)
    torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "lse",
    [
        torch.zeros(2, 4, 6),
        torch.zeros(2, 2, 7),
        torch.zeros(2, 4, 7, 1),
        torch.zeros(2, 4, 7, dtype=torch.float16),
        torch.zeros(2, 4, 7, device="meta"),
        [0.0],
    ],
    ids=["queries", "key heads", "four", "half", "device", "list"],
)
def test_a_map_refuses_a_log_sum_exp_that_is_not_this_ones(lse):
    q, k, _ = qkv(kv_heads=2)
    with pytest.raises(
        ValueError, match=r"lse is .*; expected .* \(2, 4, 7\) of torch\.float32 on"
    ):
        attention_map(q, k, lse=lse)
    assert attention_map(q, k, lse=torch.zeros(2, 4, 7)).shape == (2, 4, 7, 7)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("is_causal", [False, True])
def test_nan_in_padding_reaches_no_gradient_of_a_map(is_causal, side):
    q, k, _ = qkv(tq=12, tk=12, kv_heads=2, grad=True)
    lengths = torch.tensor([5, 12])
    options = {"is_causal": is_causal, "lengths": lengths, "padding_side": side}
    come_back = torch.randn(attention_weights(q, k).shape)
    expected = torch.autograd.grad(attention_map(q, k, **options), (q, k), come_back)
    padding = slice(5, None) if side == "right" else slice(0, 7)
    with torch.no_grad():
        q[0, :, padding] = k[0, :, padding] = float("nan")
    found = torch.autograd.grad(attention_map(q, k, **options), (q, k), come_back)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["grouped", "lengths left, causal", "lengths right"])
def test_a_map_has_the_gradients_of_the_weights(name):
    (q, k, _), options = case(name, grad=True)
    come_back = torch.randn(attention_weights(q, k, **options).shape)
    expected = torch.autograd.grad(attention_weights(q, k, **options), (q, k), come_back)
    weights = attention_map(q, k, **options)
    torch.testing.assert_close(weights, attention_weights(q, k, **options), rtol=0, atol=1e-6)
    found = torch.autograd.grad(weights, (q, k), come_back)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def peak_bytes(compute) -> int:
    """The most that a call holds at once, its result included."""
    compute()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        kept = compute()
    del kept
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    return max(accumulate(e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())))


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"lengths": torch.tensor([1_400])}])
def test_a_pooled_map_takes_a_few_tiles_beside_itself(options):
    """Twenty heads over a whole window at 50 Hz: the weights of all would take 180 MB, those of a tile 0.8."""
    q, k, _ = qkv(batch=1, heads=20, kv_heads=20, tq=1_500, tk=1_500, width=64)
    pooled = peak_bytes(lambda: attention_map(q, k, pool=32, **options))
    whole = peak_bytes(lambda: attention_map(q, k, **options))
    padding = k.numel() * 4 if "lengths" in options else 0  # keys once more, without what is in it
    assert pooled < 6e6 + padding
    assert whole < 20 * 1_500**2 * 4 + 6e6 + padding


def test_one_causal_row_of_a_long_sequence_takes_the_memory_of_a_row():
    """No tensor of all queries by all keys is made on the way."""
    length, sizes = 3_000, []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, op, types, args=(), kwargs=None):
            out = op(*args, **(kwargs or {}))
            sizes.extend(x.numel() for x in (out,) if isinstance(x, torch.Tensor))
            return out

    q, k = torch.ones(1, 2, length, 8), torch.ones(1, 2, length, 8)
    with Watch():
        found = attention_map(
            q, k, rows=torch.tensor([length - 1, 4]), is_causal=True, lengths=torch.tensor([length])
        )
    assert max(sizes) <= q.numel()
    assert float(found[0, 0, 1, 4]) == pytest.approx(0.2)
    assert float(found[0, 0, 1, 5:].abs().max()) == 0.0
