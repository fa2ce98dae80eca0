"""The whole model: what counts in its loss, and settings that reach every part."""

from dataclasses import replace

import pytest
import torch

from q2a_core import Qwen2Audio, presets
from q2a_core.errors import BackendError
from q2a_core.model import IGNORE_INDEX, causal_lm_loss


def test_padded_positions_do_not_count_in_the_loss():
    model = Qwen2Audio(presets.tiny()).eval()
    ids = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 0, 0]])
    mask = (ids > 0).long()
    with torch.inference_mode():
        loss = model(ids, attention_mask=mask, labels=ids).loss
        labels = ids.masked_fill(mask == 0, IGNORE_INDEX)
        assert loss == model(ids, attention_mask=mask, labels=labels).loss
        rows = [float(model(row[None], labels=row[None]).loss) for row in (ids[0], ids[1, :4])]
    assert float(loss) == pytest.approx((5 * rows[0] + 3 * rows[1]) / 8, rel=1e-5)


def test_the_loss_is_computed_in_fp32():
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 40, 320, generator=rng).bfloat16()
    labels = torch.randint(0, 320, (1, 40), generator=rng)
    assert causal_lm_loss(logits, labels).equal(causal_lm_loss(logits.float(), labels))


def test_a_backend_is_chosen_for_encoder_and_decoder():
    model = Qwen2Audio(presets.tiny()).eval()
    model.set_backend("none such")
    with pytest.raises(BackendError, match="none such"):
        model(torch.tensor([[5, 6]]))
    with pytest.raises(BackendError, match="none such"):
        model.encode_audio(torch.zeros(1, 128, 13), torch.tensor([12]))


def test_a_tied_head_is_the_embedding():
    config = presets.tiny()
    tied = replace(config, decoder=replace(config.decoder, tie_word_embeddings=True))
    for shared, model in ((True, Qwen2Audio(tied)), (False, Qwen2Audio(config))):
        head, embedding = model.decoder.lm_head.weight, model.decoder.embed_tokens.weight
        assert (head is embedding) == shared


def test_under_autocast_it_learns_within_rounding():
    """Rotary tables are fp32 there and turn queries and keys, whose values stay in bfloat16."""
    model = Qwen2Audio(presets.tiny())
    model.init_weights(torch.Generator().manual_seed(0))
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(ids, labels=ids).loss
    loss.backward()
    expected = model(ids, labels=ids).loss
    torch.testing.assert_close(loss, expected, rtol=0, atol=0.05)
