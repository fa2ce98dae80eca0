"""Maps beside the attention that transformers reports for the same weights, and numbers that can be known by hand."""

import numpy as np
import pytest
import torch

from inspection.conftest import noise
from q2a_core.audio.mel import log_mel
from q2a_core.inspection.attention_views import (
    GAMMA,
    busiest_range,
    by_word,
    encoder_maps,
    entropy_bits,
    one_map,
    overview,
    picture,
    reply_attention,
    shrink,
)


@pytest.fixture(scope="module")
def eager(case):
    """Attention of transformers' eager model: encoder (L, H, E, E), decoder (L, H, T, T), of the case's tokens."""
    pytest.importorskip("transformers")
    from parity.oracle import twin

    theirs = twin(case.model)
    theirs.set_attn_implementation("eager")
    window = case.model.config.encoder.max_mel_frames
    mel = torch.nn.functional.pad(log_mel(noise(1.69, 0), max_frames=window), (0, window))
    mel = mel[None, :, :window]
    ids = torch.cat([case.prompt_ids, torch.tensor([case.reply_ids[:-1]])], dim=1)
    heard: list[torch.Tensor] = []
    tower = next(m for name, m in theirs.named_modules() if name.endswith("audio_tower"))
    # the encoder hands its weights to nobody: they are caught on their way, in transformers' model
    hooks = [
        layer.self_attn.register_forward_hook(lambda module, args, output: heard.append(output[1]))
        for layer in tower.layers
    ]
    with torch.no_grad():
        output = theirs(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            input_features=mel,
            feature_attention_mask=(torch.arange(window) < 169).long()[None],
            output_attentions=True,
        )
    for hook in hooks:
        hook.remove()
    return torch.stack(heard)[:, 0, :, :85, :85], torch.stack(output.attentions)[:, 0]


def test_encoder_maps_are_the_pooled_attention(case, eager):
    theirs = torch.nn.functional.pad(eager[0], (0, 1, 0, 1))
    rows = theirs.unflatten(-2, (43, 2)).sum(-2) / torch.tensor([2.0] * 42 + [1.0])[:, None]
    pooled = rows.unflatten(-1, (43, 2)).sum(-1).numpy()
    for layer, expected in enumerate(pooled):
        np.testing.assert_allclose(encoder_maps(case, layer), expected, atol=1e-5)
        np.testing.assert_allclose(encoder_maps(case, layer).sum(-1), 1, atol=1e-5)
        np.testing.assert_allclose(one_map(case, "encoder", layer, 1), expected[1], atol=1e-5)
        np.testing.assert_allclose(one_map(case, "encoder", layer), expected.mean(0), atol=1e-5)


def test_reply_rows_are_the_decoders_attention(case, eager):
    prompt, count = case.prompt_ids.shape[1], len(case.reply_ids)
    audio = slice(case.first_audio, case.first_audio + case.num_tokens)
    for layer, theirs in enumerate(eager[1].numpy()):
        view = reply_attention(case, layer)
        rows = theirs[:, prompt - 1 : prompt - 1 + count]
        np.testing.assert_allclose(view.audio, rows[..., audio], atol=1e-5)
        on_audio, on_reply = rows[..., audio].sum(-1), rows[..., prompt:].sum(-1)
        shares = np.stack([on_audio, 1 - on_audio - on_reply, on_reply], axis=-1)
        np.testing.assert_allclose(view.share, shares, atol=1e-5)
        assert not view.share[:, 0, 2].any(), "before the first word there is no reply to read"


def test_the_even_share_is_that_of_a_head_that_reads_all_places_alike(case):
    flat = np.tril(np.ones((900, 900)))
    flat /= flat.sum(-1, keepdims=True)
    prompt, first = case.prompt_ids.shape[1], case.first_audio
    rows = flat[prompt - 1 : prompt - 1 + len(case.reply_ids), first : first + case.num_tokens]
    np.testing.assert_allclose(reply_attention(case, 0).even_share, rows.sum(-1))


def test_words_are_the_means_of_their_tokens(case):
    rows = np.random.default_rng(0).random((2, len(case.reply_ids), 5))
    means = by_word(case, rows)
    for place, word in enumerate(case.words):
        expected = sum(rows[:, k] for k in range(word.first, word.stop)) / (word.stop - word.first)
        np.testing.assert_allclose(means[:, place], expected)


@pytest.mark.parametrize(
    ("row", "bits"),
    [
        ([1, 0, 0, 0], 0),
        ([0.25] * 4, 2),
        ([0.5, 0.5, 0, 0], 1),
        ([0.1] * 8, 3),
        ([0, 0], 0),
        ([0.5, 0.25, 0.25], 1.5),
    ],
)
def test_entropy_in_bits(row, bits):
    assert entropy_bits(np.array(row, np.float32)) == pytest.approx(bits, abs=1e-6)


def test_busiest_range_holds_the_most():
    row = np.array([0.1, 0.0, 0.3, 0.0, 0.3, 0.2, 0.0])
    assert busiest_range(row, 1) == (2, 3)
    assert busiest_range(row, 2) == (4, 6)
    assert busiest_range(row, 3) == (2, 5)
    assert busiest_range(row, 99) == (0, 7)


def test_a_picture_can_be_read_back():
    weights = np.random.default_rng(0).random((3, 4)).astype(np.float32) ** 4
    bytes_ = picture(weights)
    back = bytes_.high * (bytes_.values / 255) ** (1 / GAMMA)
    assert bytes_.values.dtype == np.uint8
    assert bytes_.values.max() == 255
    assert np.abs(back - weights).max() <= bytes_.high / 250
    assert not picture(np.zeros((2, 2), np.float32)).values.any()


@pytest.mark.parametrize("size", [(100, 7), (48, 48), (1, 130), (750, 750)])
def test_a_small_picture_keeps_the_largest_weights(size):
    weights = np.zeros((2, *size), np.float32)
    weights[0, -1, -1] = 1
    small = shrink(weights)
    assert small.shape == (2, min(size[0], 48), min(size[1], 48))
    assert small[0].argmax() == small[0].size - 1
    assert not small[1].any()


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_overview_numbers_are_those_of_the_maps(case, part):
    view = overview(case, part)
    heads = getattr(case.model.config, part).num_heads
    columns = 43 if part == "encoder" else 42
    assert view.thumbnails.shape[:2] == (2, 1 + heads)
    assert view.columns == columns
    for head in (None, 0, heads - 1):
        weights = one_map(case, part, 1, head)
        index = 0 if head is None else 1 + head
        assert weights.shape[-1] == columns
        assert view.entropy[1, index] == pytest.approx(entropy_bits(weights).mean(), abs=1e-4)
        if view.share is not None:
            assert view.share[1, index].sum() == pytest.approx(1, abs=1e-5)
            assert view.share[1, index, 0] == pytest.approx(weights.sum(-1).mean(), abs=1e-5)
    assert (view.share is None) == (part == "encoder")
    assert (view.even_share is None) == (part == "encoder")
    assert 0 < view.entropy.max() <= np.log2(columns)
