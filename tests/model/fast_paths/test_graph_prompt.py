"""The prompt at fixed shapes against the model itself; captured where there is a GPU."""

import threading

import pytest
import torch

from model.fast_paths.small_models import SHAPE, clip, model_with, prompt_for, tokens
from q2a_core.model import GraphPrompt, GraphStep, graphs_of
from q2a_core.model.fast_paths.graph_prompt import MOST_TOKENS, MULTIPLE


@pytest.mark.parametrize("frames", [4, 7, 126, 128, 130])
@torch.inference_mode()
def test_a_clip_has_the_embeddings_that_it_has(frames):
    model = model_with(**SHAPE)
    mel, length = clip(model, frames)
    prompt = GraphPrompt(model)
    expected = model.encode_audio(mel, length)
    prompt.encode_audio(*clip(model, 128, seed=9))  # what an earlier clip left must not be heard
    for _ in range(2):
        torch.testing.assert_close(prompt.encode_audio(mel, length), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("frames", [None, 24, 150])
@torch.inference_mode()
def test_a_prompt_has_the_logits_and_the_cache_that_it_has(frames):
    model = model_with(**SHAPE)
    embeds = None if frames is None else model.encode_audio(*clip(model, frames))
    ids = prompt_for(model, () if embeds is None else embeds)
    expected, found = (model.new_cache(1, MULTIPLE + 20) for _ in range(2))
    logits = model(ids, audio_embeds=embeds, cache=expected, last_only=True).logits[:, -1]
    prompt = GraphPrompt(model)
    spoilt = prompt_for(model, model.encode_audio(*clip(model, 150)))
    nan = torch.full((int((spoilt == model.config.audio_token_id).sum()), 64), float("nan"))
    prompt.prefill(spoilt, nan, model.new_cache(1, MULTIPLE))  # must leave nothing behind
    assert torch.allclose(prompt.prefill(ids, embeds, found), logits, rtol=0, atol=2e-5)
    assert found.length == expected.length == ids.shape[1]
    torch.testing.assert_close(found.memory, expected.memory, rtol=0, atol=2e-5)
    assert len(prompt.stacks) == 1, "one length for all prompts up to 64 tokens"


def test_what_it_takes():
    prompt = GraphPrompt(model_with(**SHAPE))
    assert prompt.takes(tokens(1, 9), None)
    assert prompt.takes(tokens(1, MOST_TOKENS), torch.tensor([9]))
    assert not prompt.takes(tokens(1, MOST_TOKENS + 1), None)
    assert not prompt.takes(tokens(2, 9), None)
    assert not prompt.takes(tokens(1, 9), torch.tensor([9, 9]))


@torch.inference_mode()
def test_encoder_and_decoder_may_be_of_different_types():
    model = model_with(**SHAPE)
    model.decoder.bfloat16()
    mel, length = clip(model, 60)
    expected = model.encode_audio(mel, length)
    torch.testing.assert_close(GraphPrompt(model).encode_audio(mel, length), expected)


@torch.inference_mode()
def test_a_clip_that_does_not_fit_is_refused_as_ever():
    model = model_with(**SHAPE)
    mel, length = clip(model, 40)
    for frames in (mel[:, :, :20], mel[:, :5], mel[0]):
        with pytest.raises(ValueError, match=r"mel (has|holds)"):
            GraphPrompt(model).encode_audio(frames, length)


@torch.inference_mode()
def test_threads_do_not_mix_their_prompts():
    model = model_with(**SHAPE)
    prompt = GraphPrompt(model)
    prompts = [tokens(1, 20 + k, seed=k) for k in range(6)]
    expected = [model(ids, last_only=True).logits[:, -1] for ids in prompts]
    wrong = []

    @torch.inference_mode()
    def ask(ids, logits):
        for _ in range(5):
            found = prompt.prefill(ids, None, model.new_cache(1, 64))
            if not torch.allclose(found, logits, rtol=0, atol=2e-5):
                wrong.append(ids.shape)

    threads = [
        threading.Thread(target=ask, args=pair) for pair in zip(prompts, expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@torch.inference_mode()
def test_captured_prompts_equal_the_model():
    model = model_with(**SHAPE).cuda()
    for frames in (90, 130, 100, 90, 130):
        mel, length = clip(model, frames, seed=frames)
        mel = mel.cuda()
        expected = model.encode_audio(mel, length)
        ids = prompt_for(model, expected, seed=frames).cuda()
        cache = model.new_cache(1, 80)
        logits = model(ids, audio_embeds=expected, cache=cache, last_only=True).logits[:, -1]
        graphs = graphs_of(model)
        assert graphs is not None
        prompt = graphs.prompt
        embeds = prompt.encode_audio(mel, length)
        torch.testing.assert_close(embeds, expected, rtol=0, atol=1e-3)
        found = model.new_cache(1, 80)
        torch.testing.assert_close(prompt.prefill(ids, embeds, found), logits, rtol=0, atol=2e-3)
        torch.testing.assert_close(found.memory, cache.memory, rtol=0, atol=1e-3)
        step = GraphStep(model.decoder, found)
        token = ids[:, -1]
        after = model(token[:, None], cache=cache, last_only=True).logits[:, -1]
        torch.testing.assert_close(step(token), after, rtol=0, atol=2e-3)
    kept = graphs_of(model)
    assert kept is not None
    assert all(stack.graph is not None for stack in kept.prompt.stacks.values())
