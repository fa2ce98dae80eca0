"""Decoding over the cache gives what one pass over the whole text gives."""

from dataclasses import replace

import pytest
import torch

from q2a_core import Qwen2Audio, presets
from q2a_core.lengths import audio_tokens

AUDIO = 3
TOLERANCE = {"rtol": 0, "atol": 2e-5}


@pytest.fixture(scope="module")
def model() -> Qwen2Audio:
    model = Qwen2Audio(presets.tiny()).eval()
    model.init_weights(torch.Generator().manual_seed(0))
    return model


def text(batch: int, length: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(4, 320, (batch, length), generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def test_prefill_then_one_token_at_a_time_equals_the_full_pass(model):
    ids = text(2, 30)
    whole = model(ids).logits
    cache = model.new_cache(2, 30)
    parts = [model(ids[:, :12], cache=cache).logits]
    for step in range(12, 30):
        assert cache.length == step
        parts.append(model(ids[:, step : step + 1], cache=cache).logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, **TOLERANCE)
    assert cache.length == 30


@torch.inference_mode()
def test_the_loss_of_a_second_part_is_that_of_its_own_labels(model):
    ids = text(2, 12)
    mask = torch.ones_like(ids)
    mask[1, :4] = 0
    cache = model.new_cache(2, 12)
    model(ids[:, :7], attention_mask=mask[:, :7], cache=cache)
    part = model(ids[:, 7:], attention_mask=mask, cache=cache, labels=ids[:, 7:])
    labels = ids.clone()
    labels[:, :8] = -100
    whole = model(ids, attention_mask=mask, labels=labels)
    torch.testing.assert_close(part.loss, whole.loss, **TOLERANCE)


@torch.inference_mode()
@pytest.mark.parametrize("pieces", [[30], [1] * 30, [7, 1, 15, 2, 5], [29, 1]], ids=str)
def test_any_cut_of_the_text(model, pieces):
    """Chunks longer than one over a filled cache need the bottom-right alignment of the causal mask."""
    ids = text(2, 30)
    cache = model.new_cache(2, 40)
    parts = [model(piece, cache=cache).logits for piece in ids.split(pieces, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(ids).logits, **TOLERANCE)


@torch.inference_mode()
def test_left_padded_rows_with_clips(model):
    """Row by row the same as alone and without padding, in prefill and in every later step."""
    rng = torch.Generator().manual_seed(2)
    frames = [60, 100]
    mels = [torch.randn(1, 128, 101, generator=rng) for _ in frames]
    rows = [[5] * 4 + [AUDIO] * audio_tokens(f) + [6] * 3 for f in frames]
    answer = text(2, 6, seed=3)
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    cache = model.new_cache(2, longest + 6)
    batch = {"mel": torch.cat(mels), "mel_lengths": torch.tensor(frames)}
    steps = [model(ids, **batch, attention_mask=mask, cache=cache, last_only=True).logits]
    for step in range(5):
        mask = torch.cat([mask, mask.new_ones(2, 1)], dim=1)
        steps.append(model(answer[:, step : step + 1], attention_mask=mask, cache=cache).logits)
    together = torch.cat(steps, dim=1)
    for row, (mel, count) in enumerate(zip(mels, frames, strict=True)):
        alone = torch.tensor([rows[row] + answer[row, :5].tolist()])
        logits = model(alone, mel=mel, mel_lengths=torch.tensor([count])).logits
        torch.testing.assert_close(together[row], logits[0, -6:], **TOLERANCE)


@torch.inference_mode()
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_left_padded_rows_with_as_many_keys_as_heads_that_share_them(backend):
    """Eight heads read one: a cache of eight keys looks like eight queries over themselves."""
    config = presets.tiny()
    config = replace(config, decoder=replace(config.decoder, num_heads=8, num_kv_heads=1))
    shared = Qwen2Audio(config).eval()
    shared.init_weights(torch.Generator().manual_seed(0))
    shared.set_backend(backend)
    ids, padding = text(2, 10), [5, 0]
    mask = torch.tensor([[0] * count + [1] * (10 - count) for count in padding])
    cache = shared.new_cache(2, 10)
    parts = [shared(ids[:, :6], attention_mask=mask[:, :6], cache=cache, last_only=True).logits]
    for step in range(6, 10):
        part = shared(ids[:, step : step + 1], attention_mask=mask[:, : step + 1], cache=cache)
        parts.append(part.logits)
    for row, count in enumerate(padding):
        alone = shared(ids[row : row + 1, count:]).logits[0, -5:]
        torch.testing.assert_close(torch.cat(parts, dim=1)[row], alone, **TOLERANCE)


@torch.inference_mode()
def test_last_only_is_the_last_row(model):
    ids = text(2, 9)
    last = model(ids, last_only=True).logits
    torch.testing.assert_close(last, model(ids).logits[:, -1:], **TOLERANCE)


@torch.inference_mode()
def test_the_future_never_changes_the_past(model):
    ids = text(1, 20)
    changed = ids.clone()
    changed[:, 12:] = text(1, 8, seed=9)
    torch.testing.assert_close(
        model(ids).logits[:, :12], model(changed).logits[:, :12], **TOLERANCE
    )


@torch.inference_mode()
def test_padding_on_either_side_leaves_valid_logits_alone(model):
    ids = text(1, 9)
    logits = model(ids).logits
    for side in ("left", "right"):
        junk = text(1, 5, seed=4)
        padded = torch.cat([junk, ids] if side == "left" else [ids, junk], dim=1)
        ones, zeros = torch.ones(1, 9), torch.zeros(1, 5)
        mask = torch.cat([zeros, ones] if side == "left" else [ones, zeros], dim=1)
        found = model(padded, attention_mask=mask).logits
        found = found[:, 5:] if side == "left" else found[:, :9]
        torch.testing.assert_close(found, logits, **TOLERANCE)


@torch.inference_mode()
def test_a_row_of_padding_alone_is_finite(model):
    mask = torch.tensor([[0, 0, 0], [0, 1, 1]])
    assert model(text(2, 3), attention_mask=mask).logits.isfinite().all()


def test_a_full_cache_says_so(model):
    cache = model.new_cache(1, 4)
    with torch.inference_mode(), pytest.raises(ValueError, match="holds 4 positions; position 5"):
        model(text(1, 5), cache=cache)


def test_generating_first_does_not_hinder_training():
    """What inference mode leaves behind, tables for example, must not end up in a graph."""
    config = presets.tiny()
    config = replace(config, decoder=replace(config.decoder, rope_theta=54_321.0))
    fresh = Qwen2Audio(config)
    fresh.init_weights(torch.Generator().manual_seed(0))
    ids = text(2, 9)
    with torch.inference_mode():
        before = fresh(ids, cache=fresh.new_cache(2, 12)).logits
    output = fresh(ids, labels=ids)
    torch.testing.assert_close(output.logits.detach(), before.clone(), **TOLERANCE)
    assert output.loss is not None
    output.loss.backward()
    assert fresh.decoder.embed_tokens.weight.grad is not None


@torch.inference_mode()
def test_positions_beyond_what_the_config_means(model):
    """`max_positions` says what was trained; a longer text is computed all the same, cached or not."""
    config = presets.tiny()
    config = replace(config, decoder=replace(config.decoder, max_positions=8))
    small = Qwen2Audio(config).eval()
    small.load_state_dict(model.state_dict())
    ids = text(1, 20)
    expected = model(ids).logits
    torch.testing.assert_close(small(ids).logits, expected, **TOLERANCE)
    cache = small.new_cache(1, 20)
    parts = [small(piece, cache=cache).logits for piece in ids.split([6, 1, 1, 12], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), expected, **TOLERANCE)


@torch.inference_mode()
def test_backends_agree_through_the_whole_model(model):
    ids = torch.tensor([[0, 0, 5, *[AUDIO] * 25, 6], [5, 6, 7, *[AUDIO] * 25, 8]])
    mask = (ids > 0).long()
    mel = torch.randn(2, 128, 101, generator=torch.Generator().manual_seed(5))
    batch = {"mel": mel, "mel_lengths": torch.tensor([100, 99]), "attention_mask": mask}
    logits = model(ids[:, : 2 + 26 + 1], **batch).logits
    model.set_backend("reference")
    try:
        reference = model(ids[:, : 2 + 26 + 1], **batch).logits
    finally:
        model.set_backend("auto")
    torch.testing.assert_close(logits[mask.bool()], reference[mask.bool()], rtol=0, atol=1e-4)


def test_with_gradients_it_says_how_to_decode():
    model = Qwen2Audio(presets.tiny())
    ids = torch.arange(4, 10)[None]
    with pytest.raises(ValueError, match=r"keeps no gradients; call .* torch\.no_grad"):
        model(ids, cache=model.new_cache(1, 8))
    with torch.no_grad():
        assert model(ids, cache=model.new_cache(1, 8)).logits.shape[1] == 6
