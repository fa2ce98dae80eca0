"""The NumPy step against the decoder that it stands in for."""

import pytest
import torch

from model.fast_paths.model_changes import CHANGES
from model.fast_paths.small_models import model_with, tokens
from q2a_core.inference import GenerationSettings, generate
from q2a_core.model import CpuStep, can_step


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "shape",
    [
        {"d_model": 64, "num_heads": 4, "num_kv_heads": 2, "d_ff": 96},
        {"d_model": 32, "num_heads": 4, "num_kv_heads": 4, "d_ff": 50, "num_layers": 1},
        {"d_model": 48, "num_heads": 3, "num_kv_heads": 1, "num_layers": 3, "rope_theta": 1e6},
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
    step = CpuStep(model.decoder, cache)
    for place in range(4, 9):
        torch.testing.assert_close(step(ids[:, place]), full[:, place], rtol=0, atol=2e-5)
    assert cache.length == 9


@torch.inference_mode()
def test_large_scores_and_gates_stay_finite():
    model = model_with()
    for block in model.decoder.layers:
        block.self_attn.q_proj.weight.mul_(3000)
        block.mlp.gate_proj.weight.mul_(3000)
    ids, cache = tokens(1, 6), model.new_cache(1, 6)
    full = model(ids).logits
    model(ids[:, :5], cache=cache)
    found = CpuStep(model.decoder, cache)(ids[:, 5])
    torch.testing.assert_close(found, full[:, 5], rtol=1e-3, atol=1e-3)


@torch.inference_mode()
def test_left_padding_hides_the_same_keys():
    model = model_with()
    ids = tokens(3, 8)
    mask = torch.ones_like(ids)
    mask[0, :5] = 0
    mask[2, :1] = 0
    full = model(ids, attention_mask=mask).logits
    cache = model.new_cache(3, 8)
    model(ids[:, :6], attention_mask=mask[:, :6], cache=cache)
    step = CpuStep(model.decoder, cache)
    for place in (6, 7):
        logits = step(ids[:, place], mask[:, : place + 1].sum(-1))
        torch.testing.assert_close(logits, full[:, place], rtol=0, atol=2e-5)


def test_replies_are_the_same_without_it():
    model, ids = model_with(), tokens(2, 10)
    mask = torch.ones_like(ids)
    mask[1, :4] = 0
    settings = GenerationSettings(max_new_tokens=20)
    quick = generate(model, ids, attention_mask=mask, settings=settings)
    model.set_backend("sdpa")
    plain = generate(model, ids, attention_mask=mask, settings=settings)
    assert quick.token_ids == plain.token_ids
    for ours, theirs in zip(quick.logps, plain.logps, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_sees_the_weights_as_they_are_when_the_reply_begins():
    model, ids = model_with(), tokens(1, 6)
    settings = GenerationSettings(max_new_tokens=6)
    before = generate(model, ids, settings=settings)
    with torch.no_grad():
        model.decoder.layers[0].mlp.down_proj.weight.mul_(-3)
    after = generate(model, ids, settings=settings)
    model.set_backend("sdpa")
    assert after.token_ids == generate(model, ids, settings=settings).token_ids
    assert before.logps != after.logps


def test_steps_aside_for_other_types_backends_hooks_and_widths():
    assert can_step(model_with())
    assert not can_step(model_with().to(torch.bfloat16))
    assert not can_step(model_with().to("meta"))
    chosen = model_with()
    chosen.set_backend("reference")
    assert not can_step(chosen)
    hooked = model_with()
    hooked.decoder.layers[1].register_forward_hook(lambda *_: None)
    assert not can_step(hooked)
    hooked = model_with()
    hooked.decoder.layers[1].register_forward_pre_hook(lambda *_: None)
    assert not can_step(hooked)
    wide = model_with(d_model=2048, num_heads=4, num_kv_heads=4, num_layers=1, d_ff=8)
    assert not can_step(wide)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_was_changed_in_the_model_is_heard_after_the_prompt_too(change):
    model, ids = model_with(), tokens(2, 6)
    settings = GenerationSettings(max_new_tokens=6)
    before = generate(model, ids, settings=settings)
    change(model)
    assert not can_step(model)
    after = generate(model, ids, settings=settings)
    model.set_backend("sdpa")
    plain = generate(model, ids, settings=settings)
    assert after.token_ids == plain.token_ids
    for ours, theirs in zip(after.logps, plain.logps, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
    assert after.logps != before.logps


def test_one_weight_of_another_type_is_enough_to_step_aside():
    model = model_with()
    model.decoder.norm.double()
    assert not can_step(model)


def test_a_full_cache_is_refused():
    model, ids = model_with(), tokens(1, 4)
    cache = model.new_cache(1, 4)
    with torch.inference_mode():
        model(ids, cache=cache)
        with pytest.raises(ValueError, match="holds 4 positions"):
            CpuStep(model.decoder, cache)(ids[:, -1])
