"""What the Triton kernels must do, against the fp32 reference; run by test_triton.py.

Not collected by itself: interpreted it needs TRITON_INTERPRET=1 before Triton is imported.
"""

from dataclasses import replace

import pytest
import torch

from model.fast_paths.small_models import model_with, tokens
from q2a_core import presets
from q2a_core.errors import BackendError
from q2a_core.inference import GenerationSettings, generate
from q2a_core.kernels import attention, attention_map, attention_weights
from q2a_core.kernels import attention_decode_triton as decode_file
from q2a_core.kernels import attention_triton as kernel_file
from q2a_core.model import GraphStep, Qwen2Audio

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

TOLERANCES = {
    torch.float32: 4e-6,  # sums of up to 1,500 terms of size one, in another order
    torch.float16: 8 * 2.0**-11,  # a few roundings of outputs and gradients of size one
    torch.bfloat16: 8 * 2.0**-8,
}


def tensors(*, batch=2, heads=2, kv_heads=2, tq=63, tk=63, width=16, dtype=torch.float32, seed=0):
    """q, k, v that learn, and the weights of a loss."""
    rng = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=rng).to(DEVICE, dtype)

    q, k, v = draw(batch, heads, tq, width), *(draw(batch, kv_heads, tk, width) for _ in range(2))
    return [x.requires_grad_() for x in (q, k, v)], draw(batch, heads, tq, width)


def outputs(found, options, backend):
    """Output and the gradients of q, k, v, in fp32; the reference computes on the same rounded numbers."""
    inputs, weights = found
    if backend == "reference":
        inputs = [x.detach().float().requires_grad_() for x in inputs]
    out = attention(*inputs, **options, backend=backend)
    gradients = torch.autograd.grad((out * weights.to(out.dtype)).sum(), inputs)
    return [x.detach().float() for x in (out, *gradients)]


def assert_equal_to_reference(found, options):
    dtype = found[0][0].dtype
    pairs = zip(
        outputs(found, options, "triton"), outputs(found, options, "reference"), strict=True
    )
    for name, (ours, expected) in zip(("out", "dq", "dk", "dv"), pairs, strict=True):
        assert ours.isfinite().all(), name
        bound = TOLERANCES[dtype] * max(1.0, float(expected.abs().max()))
        assert float((ours - expected).abs().max()) <= bound, name


CASES = {
    "one": {"tq": 1, "tk": 1},
    "63": {},
    "63 causal": {"is_causal": True},
    "111 grouped": {"tq": 111, "tk": 111, "kv_heads": 1, "batch": 1},
    "128 causal": {"tq": 128, "tk": 128, "is_causal": True, "batch": 1, "heads": 1, "kv_heads": 1},
    "newest 20 of 111": {"tq": 20, "tk": 111, "is_causal": True, "kv_heads": 1},
    "more queries than keys": {"tq": 70, "tk": 33, "is_causal": True, "batch": 1},
    "bidirectional, unequal": {"tq": 33, "tk": 70, "batch": 1},
    "ragged": {"lengths": [63, 10]},
    "ragged causal": {"lengths": [40, 63], "is_causal": True, "kv_heads": 1},
    "ragged left": {"lengths": [63, 10], "side": "left"},
    "ragged left causal": {"lengths": [9, 63], "is_causal": True, "side": "left", "kv_heads": 1},
    "newest 5, ragged left": {
        "tq": 5,
        "tk": 63,
        "lengths": [3, 50],
        "is_causal": True,
        "side": "left",
    },
    "keys ragged, queries not": {"tq": 20, "tk": 63, "lengths": [0, 33]},
    "an empty sequence": {"lengths": [0, 63], "batch": 2},
    "width 40": {"tq": 33, "tk": 33, "width": 40, "batch": 1, "heads": 1, "kv_heads": 1},
    "width 64": {"tq": 33, "tk": 40, "width": 64, "batch": 1},
    "width 128": {"tq": 33, "tk": 33, "width": 128, "batch": 1, "heads": 1, "kv_heads": 1},
    "half": {
        "dtype": torch.float16,
        "tq": 130,
        "tk": 130,
        "is_causal": True,
        "width": 32,
        "batch": 1,
    },
    "half, ragged": {"dtype": torch.float16, "tq": 70, "tk": 70, "width": 64, "lengths": [70, 31]},
}
if DEVICE == "cuda":  # the interpreter computes wrong numbers for bfloat16
    for name in ("63 causal", "ragged left causal", "an empty sequence", "width 40", "width 128"):
        CASES[f"{name}, bfloat16"] = {**CASES[name], "dtype": torch.bfloat16}
    CASES["1500 wide, bfloat16"] = {
        "dtype": torch.bfloat16,
        "tq": 1500,
        "tk": 1500,
        "width": 64,
        "lengths": [1500, 700],
    }
    CASES["1500 wide causal, bfloat16"] = {
        "dtype": torch.bfloat16,
        "tq": 1500,
        "tk": 1500,
        "width": 128,
        "heads": 4,
        "is_causal": True,
    }


def case(options):
    options = dict(options)
    lengths, side = options.pop("lengths", None), options.pop("side", "right")
    call = {
        "is_causal": options.pop("is_causal", False),
        "lengths": None if lengths is None else torch.tensor(lengths, device=DEVICE),
        "padding_side": side,
    }
    return tensors(**options), call


@pytest.fixture(autouse=True)
def poison(monkeypatch):
    """Fresh memory holds NaN, so that a place that no kernel writes is seen."""

    right = torch.empty

    def empty(*size, **options):
        return right(*size, **options).fill_(float("nan"))

    def empty_like(x):
        return torch.full_like(x, float("nan"))

    for file in (kernel_file, decode_file):
        monkeypatch.setattr(file.torch, "empty", empty)
        monkeypatch.setattr(file.torch, "empty_like", empty_like)


@pytest.mark.parametrize("name", CASES)
def test_output_and_gradients_are_the_references(name):
    assert_equal_to_reference(*case(CASES[name]))


@pytest.mark.parametrize("length", [750, 1500])
def test_long_clips_beside_short_ones(length):
    found, options = case(
        {
            "tq": length,
            "tk": length,
            "heads": 1,
            "kv_heads": 1,
            "lengths": [length // 5, length // 10],
        }
    )
    ours = attention(*found[0], **options, backend="triton").detach()
    expected = attention(*found[0], **options, backend="reference").detach()
    assert float((ours - expected).abs().max()) <= TOLERANCES[torch.float32]


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
def test_what_lies_in_the_padding_never_matters(side, is_causal):
    """NaN there gives the same bits as zeros there, forward and backward."""
    results = []
    for filler in (0.0, float("nan")):
        shape = {"lengths": [20, 63], "side": side, "is_causal": is_causal}
        (inputs, weights), options = case(shape)
        beyond = slice(20, None) if side == "right" else slice(0, 43)
        with torch.no_grad():
            for x in (*inputs, weights):
                x[0, :, beyond] = filler
        out = attention(*inputs, **options, backend="triton")
        gradients = torch.autograd.grad(out, inputs, weights)
        results.append((out.detach(), *gradients))
    for clean, dirty in zip(*results, strict=True):
        assert torch.equal(clean, dirty)
        assert bool((dirty[0, :, beyond] == 0).all())


def test_the_log_sum_exp_is_that_of_the_scores():
    (inputs, _), options = case({"lengths": [0, 40], "is_causal": True})
    q, k, v = (x.detach() for x in inputs)
    _, lse = kernel_file.attention_triton(q, k, v, **options)
    weights = attention_weights(q, k, options["is_causal"], options["lengths"])
    scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
    seen = weights > 0
    assert torch.equal(lse[~seen.any(-1)], torch.full_like(lse[~seen.any(-1)], float("-inf")))
    again = torch.exp(scores - lse[..., None])
    torch.testing.assert_close(again[seen], weights[seen], rtol=1e-4, atol=1e-6)


def test_the_same_inputs_give_the_same_bits_and_views_are_read_where_they_lie():
    found, options = case({"tq": 40, "tk": 40, "kv_heads": 1})
    first = outputs(found, options, "triton")
    assert all(
        torch.equal(a, b) for a, b in zip(first, outputs(found, options, "triton"), strict=True)
    )
    inputs, weights = found
    turned = [
        x.detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_() for x in inputs
    ]
    assert not turned[0].is_contiguous()
    assert all(
        torch.equal(a, b)
        for a, b in zip(first, outputs((turned, weights), options, "triton"), strict=True)
    )


@pytest.mark.parametrize("factor", [0.0, -0.3, 1.7, True, torch.tensor(0.5)])
def test_scale(factor):
    found, options = case({"tq": 20, "tk": 20, "batch": 1})
    assert_equal_to_reference(found, {**options, "scale": factor})


def test_no_sequence_gives_nothing():
    q = torch.zeros(0, 2, 1, 16, device=DEVICE)
    k = torch.zeros(0, 2, 20, 16, device=DEVICE)
    assert attention(q, k, k, backend="triton").shape == q.shape


def test_a_negative_scale_costs_no_precision():
    """Its sign goes into the queries; its size would be rounded there once more."""
    found, options = case({"tq": 20, "tk": 20, "batch": 1, "dtype": torch.float16})
    (q, k, v), weights = found
    big = (((10 * q).detach(), (10 * k).detach(), v.detach()), weights)
    apart = []
    for factor in (0.2, -0.2):
        rules = {**options, "scale": factor}
        with torch.no_grad():
            ours = attention(*big[0], **rules, backend="triton")
            exact = attention(*(x.float() for x in big[0]), **rules, backend="reference")
        apart.append(float((ours - exact).abs().max()))
    assert apart[1] < 3 * apart[0] + 1e-3


@pytest.mark.parametrize(
    "options",
    [
        {"tk": 1},
        {"tk": 200, "heads": 4},
        {"tk": 130, "heads": 4, "kv_heads": 1, "lengths": [130, 7]},
        {"tk": 130, "heads": 6, "kv_heads": 2, "lengths": [0, 70], "side": "left", "width": 64},
        {"tk": 90, "heads": 2, "width": 40, "dtype": torch.float16},
    ],
    ids=str,
)
def test_decoding_one_query_over_a_split_cache(options):
    (inputs, _), call = case({"tq": 1, **options})
    q, k, v = (x.detach() for x in inputs)
    room = torch.full(
        (2, *k.shape[:2], k.shape[2] + 9, k.shape[3]), float("nan"), device=DEVICE, dtype=k.dtype
    )
    room[0, :, :, : k.shape[2]], room[1, :, :, : k.shape[2]] = k, v
    keys, values = room[:, :, :, : k.shape[2]]  # views into a larger cache, as a KVCache gives
    found = attention(q, keys, values, **{**call, "is_causal": True}, backend="triton")
    expected = attention(
        q.float(), k.float(), v.float(), **{**call, "is_causal": True}, backend="reference"
    )
    assert found.dtype == q.dtype
    assert float((found.float() - expected).abs().max()) <= TOLERANCES[q.dtype]


MAPS = {
    "all": {},
    "grouped causal": {"tq": 20, "tk": 90, "kv_heads": 1, "is_causal": True},
    "ragged": {"tq": 75, "tk": 75, "lengths": [75, 31]},
    "ragged left causal": {"lengths": [5, 63], "is_causal": True, "side": "left"},
}


@pytest.mark.parametrize("name", MAPS)
def test_maps_are_the_weights(name):
    (inputs, _), options = case(MAPS[name])
    q, k = inputs[0].detach(), inputs[1].detach()
    full = attention_weights(q, k, **options)
    rows = torch.tensor([3, 17, 9], device=DEVICE)
    for ours, expected in (
        (attention_map(q, k, **options, backend="triton"), full),
        (
            attention_map(q, k, rows=rows, heads=[1], **options, backend="triton"),
            full[:, [1]][:, :, rows],
        ),
        *(
            (
                attention_map(q, k, pool=pool, **options, backend=b),
                attention_map(q, k, pool=pool, **options, backend="sdpa"),
            )
            for pool, b in ((2, "triton"), (8, "triton"))
        ),
    ):
        assert ours.dtype == torch.float32
        assert ours.shape == expected.shape
        assert float((ours - expected).abs().max()) <= 2e-6


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("pool", [1, 8])
def test_nan_in_padding_reaches_no_map(side, pool):
    (inputs, _), options = case({"tq": 40, "tk": 40, "lengths": [40, 13], "side": side})
    q, k = (x.detach() for x in inputs[:2])
    clean = attention_map(q, k, pool=pool, **options, backend="triton")
    padding = slice(13, None) if side == "right" else slice(0, 27)
    q[1, :, padding] = k[1, :, padding] = float("nan")
    dirty = attention_map(q, k, pool=pool, **options, backend="triton")
    assert torch.equal(dirty, clean)


def test_a_map_that_learns_has_gradients():
    (inputs, _), options = case({"tq": 20, "tk": 20, "lengths": [20, 7]})
    q, k = inputs[:2]
    come_back = torch.randn(2, 2, 20, 20, generator=torch.Generator().manual_seed(5)).to(DEVICE)
    expected = torch.autograd.grad(attention_weights(q, k, **options), (q, k), come_back)
    found = torch.autograd.grad(attention_map(q, k, **options, backend="triton"), (q, k), come_back)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_a_pool_of_one_may_be_a_truth():
    (inputs, _), _ = case({"tq": 20, "tk": 20})
    q, k = inputs[0].detach(), inputs[1].detach()
    found = attention_map(q, k, pool=True, backend="triton")
    assert float((found - attention_weights(q, k)).abs().max()) <= 2e-6


def test_a_map_takes_a_log_sum_exp_in_any_strides():
    (inputs, _), options = case({"tq": 20, "tk": 40, "is_causal": True})
    q, k, v = (x.detach() for x in inputs)
    _, lse = kernel_file.attention_triton(q, k, v, **options)
    turned = lse.mT.contiguous().mT
    found = attention_map(q, k, **options, lse=turned, backend="triton")
    assert float((found - attention_weights(q, k, **options)).abs().max()) <= 2e-6


def small_model() -> Qwen2Audio:
    """The tiny preset with decoder heads as wide as the kernels want them."""
    config = presets.tiny(vocab_size=448)
    config = replace(config, decoder=replace(config.decoder, num_heads=2, num_kv_heads=1))
    model = Qwen2Audio(config)
    model.init_weights(torch.Generator().manual_seed(0))
    return model.to(DEVICE)


def test_a_training_step_of_the_whole_model():
    """Every gradient through encoder, projector and decoder, padded clips and padded text included."""
    model = small_model().train()
    config = model.config
    rng = torch.Generator().manual_seed(1)
    mel = torch.randn(2, config.encoder.num_mel_bins, 64, generator=rng).to(DEVICE)
    mel_lengths = torch.tensor([60, 48], device=DEVICE)
    input_ids = torch.randint(10, 400, (2, 24), generator=rng)
    input_ids[0, 2:17], input_ids[1, 2:14] = config.audio_token_id, config.audio_token_id
    mask = torch.ones_like(input_ids)
    mask[1, 20:] = 0
    gradients = []
    for backend in ("reference", "triton"):
        model.set_backend(backend)
        model.zero_grad()
        out = model(
            input_ids.to(DEVICE), mel=mel, mel_lengths=mel_lengths, attention_mask=mask.to(DEVICE),
            labels=input_ids.to(DEVICE),
        )  # fmt: skip
        out.loss.backward()
        gradients.append(
            {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        )
    for name, expected in gradients[0].items():
        bound = 1e-4 * float(expected.abs().max()) + 1e-7
        assert float((gradients[1][name] - expected).abs().max()) <= bound, name


def test_a_training_step_under_autocast():
    """Rotary tables are fp32 there and must not make queries and keys another type than values."""
    half = torch.bfloat16 if DEVICE == "cuda" else torch.float16
    model = small_model().train()
    input_ids = torch.randint(10, 400, (2, 12), generator=torch.Generator().manual_seed(2))
    losses, gradients = [], []
    for backend in ("sdpa", "triton"):
        model.set_backend(backend)
        model.zero_grad()
        with torch.autocast(DEVICE, dtype=half):
            loss = model(input_ids.to(DEVICE), labels=input_ids.to(DEVICE)).loss
        loss.backward()
        losses.append(loss.item())
        gradients.append(model.decoder.layers[0].self_attn.k_proj.weight.grad.clone())
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)
    assert float((gradients[1] - gradients[0]).norm()) <= 0.1 * float(gradients[0].norm())


def test_second_derivatives_are_refused():
    (inputs, weights), _ = case({})
    out = attention(*inputs, backend="triton")
    with pytest.raises(BackendError, match="no second derivatives; choose the backend reference"):
        torch.autograd.grad((out * weights).sum(), inputs[0], create_graph=True)


def test_generation_says_the_same():
    model = small_model().eval()
    input_ids = torch.randint(10, 400, (2, 9), generator=torch.Generator().manual_seed(4))
    mask = torch.ones_like(input_ids)
    mask[0, :4] = 0
    settings = GenerationSettings(stop_ids=(), max_new_tokens=6)
    replies = []
    for backend in ("reference", "triton"):
        model.set_backend(backend)
        replies.append(
            generate(
                model, input_ids.to(DEVICE), attention_mask=mask.to(DEVICE), settings=settings
            ).token_ids
        )
    assert replies[0] == replies[1]


@pytest.mark.parametrize(("tied", "num_layers"), [(False, 2), (True, 1)])
@torch.inference_mode()
def test_a_fused_step_is_the_decoders(tied, num_layers):
    """One row, token by token: norms, biases, rotary positions, cache, SwiGLU and head in the kernels.

    A program is a row of a matrix, a few milliseconds each in the interpreter: so the matrices have few.
    """
    shape = {"d_model": 96, "num_heads": 6, "num_kv_heads": 2, "d_ff": 40, "vocab_size": 90}
    model = model_with(**shape, num_layers=num_layers, tie_word_embeddings=tied).to(DEVICE)
    model.set_backend("triton")
    ids = (tokens(1, 7) % 90).to(DEVICE)
    full = model(ids).logits
    cache = model.new_cache(1, 7)
    model(ids[:, :4], cache=cache)
    step = GraphStep(model.decoder, cache)
    assert step.fused
    for place in range(4, 7):
        torch.testing.assert_close(step(ids[:, place]), full[:, place], rtol=0, atol=4e-5)


def test_what_it_cannot_do_is_refused_in_words():
    (inputs, _), _ = case({"width": 8})
    with pytest.raises(BackendError, match="width 16 to 128; found 8"):
        attention(*inputs, backend="triton")
    (inputs, _), _ = case({"dtype": torch.float64})
    with pytest.raises(BackendError, match=r"found torch\.float64"):
        attention(*inputs, backend="triton")
    many = torch.zeros(1, device=DEVICE).expand(2**14, 4, 2, 16)
    for queries in (1, 2):
        with pytest.raises(BackendError, match=r"65,535 .* found 16,384 times 4, choose sdpa"):
            attention(many[:, :, :queries], many, many, backend="triton")


@pytest.mark.skipif(DEVICE == "cuda", reason="hardware computes bfloat16 rightly")
def test_interpreted_bfloat16_is_refused():
    (inputs, _), _ = case({"dtype": torch.bfloat16})
    with pytest.raises(BackendError, match="wrong numbers for bfloat16"):
        attention(*inputs, backend="triton")
