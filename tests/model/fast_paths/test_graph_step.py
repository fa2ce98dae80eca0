"""The step at fixed shapes against the decoder that it drives; captured where there is a GPU."""

import pytest
import torch

from model.fast_paths.model_changes import CHANGES
from model.fast_paths.small_models import model_with, tokens
from q2a_core.kernels import resolve_backend
from q2a_core.model import GraphStep, graphs_of
from q2a_core.model.fast_paths.fused_step import can_fuse
from q2a_core.model.fast_paths.graph_step import WARM_UP, FixedCache


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "shape",
    [
        {"d_model": 64, "num_heads": 4, "num_kv_heads": 2, "d_ff": 96},
        {"d_model": 32, "num_heads": 4, "num_kv_heads": 4, "num_layers": 1},
        {"d_model": 32, "num_heads": 2, "num_kv_heads": 1, "tie_word_embeddings": True},
        {"max_positions": 5},
    ],
    ids=str,
)
@torch.inference_mode()
def test_equals_the_decoder_token_by_token(batch, shape):
    model = model_with(**shape)
    ids = tokens(batch, 9)
    full = model(ids).logits
    cache = model.new_cache(batch, 9)
    model(ids[:, :4], cache=cache)
    step = GraphStep(model.decoder, cache)
    for place in range(4, 9):
        torch.testing.assert_close(step(ids[:, place]), full[:, place], rtol=0, atol=2e-5)
    assert cache.length == 9
    with pytest.raises(ValueError, match="holds 9 positions"):
        step(ids[:, 0])


@torch.inference_mode()
def test_rows_padded_on_the_left_begin_at_zero_afterwards():
    model = model_with()
    ids = tokens(3, 8)
    mask = torch.ones_like(ids)
    mask[0, :5] = 0
    mask[2, :1] = 0
    full = model(ids, attention_mask=mask).logits
    cache = model.new_cache(3, 8)
    model(ids[:, :6], attention_mask=mask[:, :6], cache=cache)
    before = cache.memory.clone()
    step = GraphStep(model.decoder, cache, mask[:, :6].sum(-1))
    assert torch.equal(step.fixed.memory[:, :, 0, :, :1], before[:, :, 0, :, 5:6])
    assert torch.equal(step.fixed.memory[:, :, 1], before[:, :, 1])
    for place in (6, 7):
        torch.testing.assert_close(step(ids[:, place]), full[:, place], rtol=0, atol=2e-5)


@torch.inference_mode()
def test_nothing_on_the_host_decides_what_a_step_reads():
    """What is captured once must hold for every later step: shapes stay, and the count lies in a tensor."""
    model = model_with()
    ids = tokens(2, 7)
    cache = model.new_cache(2, 12)
    model(ids, cache=cache)
    fixed = FixedCache(cache)
    where = (fixed.lengths.data_ptr(), fixed.places.data_ptr(), fixed.memory.data_ptr())
    shapes = set()
    for count in range(3):
        fixed.grow()
        new = torch.zeros(2, fixed.memory.shape[3], 1, fixed.memory.shape[5])
        keys, values = fixed.append(0, new, new)
        shapes |= {keys.shape, values.shape}
        assert fixed.lengths.tolist() == [8 + count] * 2
    assert len(shapes) == 1
    assert shapes.pop()[2] == 12
    assert where == (fixed.lengths.data_ptr(), fixed.places.data_ptr(), fixed.memory.data_ptr())


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_the_kernels_take_no_decoder_that_was_changed(monkeypatch, change):
    monkeypatch.setattr("q2a_core.model.fast_paths.fused_step.resolve_backend", lambda *_: "triton")
    model = model_with()
    assert can_fuse(model.decoder, 1)
    change(model)
    assert not can_fuse(model.decoder, 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_nothing_is_captured_under_autocast():
    model = model_with().cuda()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        assert graphs_of(model) is None
    assert graphs_of(model) is not None


def test_a_cpu_and_a_watched_model_are_not_captured():
    model = model_with()
    assert graphs_of(model) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("rows", "padded"), [(3, False), (3, True), (1, False)])
@torch.inference_mode()
def test_a_captured_step_equals_the_decoder(rows, padded):
    model = model_with(d_model=64, num_heads=4, num_kv_heads=2).cuda()
    assert graphs_of(model) is not None
    ids = tokens(rows, 16).cuda()
    mask = torch.ones_like(ids)
    if padded:
        mask[0, :5] = 0
    full = model(ids, attention_mask=mask).logits
    cache = model.new_cache(rows, 16)
    model(ids[:, :6], attention_mask=mask[:, :6], cache=cache)
    step = GraphStep(model.decoder, cache, mask[:, :6].sum(-1))
    assert step.fused == (rows == 1 and resolve_backend("auto", "cuda", 16) == "triton")
    for place in range(6, 16):
        torch.testing.assert_close(step(ids[:, place]), full[:, place], rtol=0, atol=1e-3)
        assert (step.graph is not None) == (place - 6 >= WARM_UP)
