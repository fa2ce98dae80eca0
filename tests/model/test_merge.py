"""Audio written over placeholders: in reading order, exactly as many as there are, text untouched."""

import numpy as np
import pytest
import torch

from q2a_core import Qwen2Audio, presets
from q2a_core.errors import ChatError
from q2a_core.inference import GenerationSettings, generate
from q2a_core.lengths import audio_tokens
from q2a_core.model.merge import merge_audio, pack_valid

AUDIO = 3


def numbered(count: int, start: int = 100, width: int = 4) -> torch.Tensor:
    """Embeddings (count, D) whose every entry is its row's number."""
    return torch.arange(start, start + count, dtype=torch.float32)[:, None].expand(count, width)


def merged(ids: list[list[int]], count: int) -> list[list[float]]:
    """Which embedding stands at each position: text by its negative id, audio by number."""
    input_ids = torch.tensor(ids)
    text = -input_ids[..., None].expand(-1, -1, 4).float()
    return merge_audio(text, numbered(count), input_ids, AUDIO)[..., 0].tolist()


def test_two_clips_in_one_row():
    assert merged([[7, AUDIO, AUDIO, 8, AUDIO, 9]], 3) == [[-7, 100, 101, -8, 102, -9]]


def test_rows_are_read_one_after_the_other():
    assert merged([[AUDIO, 5, AUDIO], [6, AUDIO, AUDIO]], 4) == [[100, -5, 101], [-6, 102, 103]]


@pytest.mark.parametrize("shape", [(2, 3), (2, 8), (1, 2, 4), (8,)], ids=str)
def test_embeddings_of_another_width_are_refused(shape):
    """Wider ones would be cut into rows of the text's width, and spread over the placeholders."""
    ids = torch.tensor([[7, AUDIO, AUDIO, 8]])
    with pytest.raises(ValueError, match=r"audio_embeds has shape .*; expected one row of width 4"):
        merge_audio(torch.zeros(1, 4, 4), torch.zeros(shape), ids, AUDIO)


def test_clips_at_both_ends():
    assert merged([[AUDIO, AUDIO, 4, AUDIO]], 3) == [[100, 101, -4, 102]]
    assert merged([[AUDIO]], 1) == [[100]]


def test_no_clip_leaves_the_text_alone():
    assert merged([[4, 5, 6]], 0) == [[-4, -5, -6]]


@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_numbers_that_disagree_are_refused(count):
    with pytest.raises(ChatError, match=f"2 audio placeholders but the clips give {count}"):
        merged([[4, AUDIO, 5, AUDIO]], count)


def test_text_precision_wins():
    text = torch.zeros(1, 1, 4, dtype=torch.float16)
    assert merge_audio(text, numbered(1), torch.tensor([[AUDIO]]), AUDIO).dtype == torch.float16


def test_gradients_reach_the_audio_and_the_text_around_it_only():
    text = torch.zeros(1, 3, 4, requires_grad=True)
    audio = torch.zeros(1, 4, requires_grad=True)
    merge_audio(text, audio, torch.tensor([[5, AUDIO, 6]]), AUDIO).sum().backward()
    assert text.grad is not None
    assert text.grad[0, :, 0].tolist() == [1, 0, 1]
    assert audio.grad is not None
    assert audio.grad[0, 0] == 1


def test_pack_valid_keeps_the_order():
    padded = torch.arange(12, dtype=torch.float32).view(3, 4, 1)
    packed = pack_valid(padded, torch.tensor([2, 0, 4]))
    assert packed.flatten().tolist() == [0, 1, 8, 9, 10, 11]
    assert pack_valid(padded[:1], torch.tensor([3])).flatten().tolist() == [0, 1, 2]


@pytest.fixture(scope="module")
def model() -> Qwen2Audio:
    model = Qwen2Audio(presets.tiny()).eval()
    model.init_weights(torch.Generator().manual_seed(0))
    return model


@torch.inference_mode()
def test_swapped_clips_change_the_answer_and_encoded_clips_do_not(model):
    """Clips already encoded give the same logits as mels; listed in the other order, other ones."""
    rng = torch.Generator().manual_seed(1)
    mel, mel_lengths = torch.randn(2, 128, 101, generator=rng), torch.tensor([100, 100])
    count = audio_tokens(100)
    ids = torch.tensor([[5, *[AUDIO] * count, 6, *[AUDIO] * count, 7]])
    logits = model(ids, mel=mel, mel_lengths=mel_lengths).logits
    embeds = model.encode_audio(mel, mel_lengths)
    assert torch.equal(model(ids, audio_embeds=embeds).logits, logits)
    swapped = model(ids, mel=mel.flip(0), mel_lengths=mel_lengths).logits
    assert np.abs((swapped - logits).numpy()).max() > 1e-3


def test_mel_without_lengths_is_refused(model):
    with pytest.raises(ValueError, match="without mel_lengths"):
        model(torch.tensor([[AUDIO]]), mel=torch.zeros(1, 128, 5))


def test_clips_that_are_missing_or_given_twice_are_refused():
    model = Qwen2Audio(presets.tiny()).eval()
    ids = torch.tensor([[5, model.config.audio_token_id, model.config.audio_token_id, 6]])
    mel = torch.zeros(1, model.config.encoder.num_mel_bins, 12)
    lengths, embeds = torch.tensor([8]), torch.zeros(2, model.config.decoder.d_model)
    assert model(ids, mel=mel, mel_lengths=lengths).logits.isfinite().all()
    with pytest.raises(ChatError, match="2 audio placeholders but the clips give 0"):
        model(ids)
    with pytest.raises(ChatError, match="2 audio placeholders but the clips give 0"):
        generate(model, ids, settings=GenerationSettings(max_new_tokens=1))
    for wrong in (
        {"mel": mel, "mel_lengths": lengths, "audio_embeds": embeds},
        {"mel": mel},
        {"mel_lengths": lengths, "audio_embeds": embeds},
    ):
        with pytest.raises(ValueError, match=r"mel.*given"):
            model(ids, **wrong)
        with pytest.raises(ValueError, match=r"mel.*given"):
            generate(model, ids, settings=GenerationSettings(max_new_tokens=1), **wrong)


def test_a_reply_may_name_a_placeholder():
    model = Qwen2Audio(presets.tiny()).eval()
    cache = model.new_cache(1, 8)
    with torch.inference_mode():
        model(torch.tensor([[5, 6]]), cache=cache)
        model(torch.tensor([[model.config.audio_token_id]]), cache=cache)
    assert cache.length == 3
