"""The prompt at fixed shapes against the model itself; recorded where there is a GPU."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from model.test_cpu_step import model_with, tokens
from q2a_core.inference import GenerationSettings, generate
from q2a_core.inspection.model_view import steered_view
from q2a_core.model import GraphPrompt, GraphStep, recorded_model, recorded_prompt
from q2a_core.model.graph_prompt import _KEPT, MOST_TOKENS, MULTIPLE

SHAPE = {"d_model": 64, "num_heads": 4, "num_kv_heads": 2}


def clip(model, frames, seed=0):
    """mel (1, M, F) with two frames of what lies behind the clip, and its length."""
    rng = torch.Generator().manual_seed(seed)
    mel = torch.randn(1, model.config.encoder.num_mel_bins, frames + 2, generator=rng)
    return mel, torch.tensor([frames])


def prompt_for(model, embeds, seed=5):
    """Ids with a placeholder for each row of `embeds`."""
    ids = tokens(1, len(embeds) + 6, seed=seed)
    ids[ids == model.config.audio_token_id] = 5
    ids[0, 3 : 3 + len(embeds)] = model.config.audio_token_id
    return ids


@pytest.mark.parametrize("frames", [4, 7, 126, 128, 130])
@torch.inference_mode()
def test_a_clip_has_the_embeddings_that_it_has(frames):
    model = model_with(**SHAPE)
    mel, length = clip(model, frames)
    recorded = GraphPrompt(model)
    expected = model.encode_audio(mel, length)
    recorded.encode_audio(*clip(model, 128, seed=9))  # what an earlier clip left must not be heard
    for _ in range(2):
        torch.testing.assert_close(recorded.encode_audio(mel, length), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("frames", [None, 24, 150])
@torch.inference_mode()
def test_a_prompt_has_the_logits_and_the_cache_that_it_has(frames):
    model = model_with(**SHAPE)
    embeds = None if frames is None else model.encode_audio(*clip(model, frames))
    ids = prompt_for(model, () if embeds is None else embeds)
    expected, found = (model.new_cache(1, MULTIPLE + 20) for _ in range(2))
    logits = model(ids, audio_embeds=embeds, cache=expected, last_only=True).logits[:, -1]
    recorded = GraphPrompt(model)
    spoilt = prompt_for(model, model.encode_audio(*clip(model, 150)))
    nan = torch.full((int((spoilt == model.config.audio_token_id).sum()), 64), float("nan"))
    recorded.prefill(spoilt, nan, model.new_cache(1, MULTIPLE))  # must leave nothing behind
    assert torch.allclose(recorded.prefill(ids, embeds, found), logits, rtol=0, atol=2e-5)
    assert found.length == expected.length == ids.shape[1]
    torch.testing.assert_close(found.memory, expected.memory, rtol=0, atol=2e-5)
    assert len(recorded.stacks) == 1, "one length for all prompts up to 64 tokens"


def test_replies_are_the_same_with_it(monkeypatch):
    model = model_with(**SHAPE)
    mel, length = clip(model, 90)
    ids = prompt_for(model, model.encode_audio(mel, length))
    settings = GenerationSettings(max_new_tokens=8)
    plain = generate(model, ids, mel=mel, mel_lengths=length, settings=settings)
    used = []
    monkeypatch.setattr("q2a_core.model.graph_prompt.can_record", lambda model: True)
    prefill = GraphPrompt.prefill
    monkeypatch.setattr(GraphPrompt, "prefill", lambda *a: used.append(1) or prefill(*a))
    again = generate(model, ids, mel=mel, mel_lengths=length, settings=settings)
    assert used == [1]
    assert again.token_ids == plain.token_ids


def test_what_it_takes_and_how_long_it_is_kept(monkeypatch):
    model = model_with(**SHAPE)
    ids = tokens(1, 9)
    assert recorded_prompt(model, ids, None) is None, "not on a CPU"
    monkeypatch.setattr("q2a_core.model.graph_prompt.can_record", lambda model: True)
    kept = recorded_prompt(model, ids, None)
    assert kept is not None
    assert recorded_prompt(model, tokens(1, 20), torch.tensor([9])) is kept
    assert recorded_prompt(model, tokens(2, 9), None) is None
    assert recorded_prompt(model, tokens(1, MOST_TOKENS + 1), None) is None
    assert recorded_prompt(model, ids, torch.tensor([9, 9])) is None
    model.decoder.lm_head.weight.data = model.decoder.lm_head.weight.data.clone()
    moved = recorded_prompt(model, ids, None)
    assert moved is not kept, "weights lie elsewhere"
    del kept, moved
    before = len(_KEPT)
    del model
    gc.collect()
    assert len(_KEPT) == before - 1, "a model that nobody holds takes its records along"


def test_a_model_that_somebody_wrapped_is_not_replayed(monkeypatch):
    """A view of a model steers the last position, which is padding in a prompt that was filled up."""
    monkeypatch.setattr("q2a_core.model.graph_prompt.can_record", lambda model: True)
    model = model_with(**SHAPE)
    assert recorded_model(model) is not None
    steered = steered_view(model, 1, torch.ones(64))
    assert recorded_model(steered) is None

    class Adapted(torch.nn.Linear):
        """Stands for an adapter."""

    model.decoder.layers[0].self_attn.q_proj = Adapted(64, 64)
    assert recorded_model(model) is None


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
    recorded = GraphPrompt(model)
    prompts = [tokens(1, 20 + k, seed=k) for k in range(6)]
    expected = [model(ids, last_only=True).logits[:, -1] for ids in prompts]
    wrong = []

    @torch.inference_mode()
    def ask(ids, logits):
        for _ in range(5):
            found = recorded.prefill(ids, None, model.new_cache(1, 64))
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
def test_recorded_prompts_equal_the_model():
    model = model_with(**SHAPE).cuda()
    for frames in (90, 130, 100, 90, 130):
        mel, length = clip(model, frames, seed=frames)
        mel = mel.cuda()
        expected = model.encode_audio(mel, length)
        ids = prompt_for(model, expected, seed=frames).cuda()
        cache = model.new_cache(1, 80)
        logits = model(ids, audio_embeds=expected, cache=cache, last_only=True).logits[:, -1]
        recorded = recorded_prompt(model, ids, length)
        assert recorded is not None
        embeds = recorded.encode_audio(mel, length)
        torch.testing.assert_close(embeds, expected, rtol=0, atol=1e-3)
        found = model.new_cache(1, 80)
        torch.testing.assert_close(recorded.prefill(ids, embeds, found), logits, rtol=0, atol=2e-3)
        torch.testing.assert_close(found.memory, cache.memory, rtol=0, atol=1e-3)
        step = GraphStep(model.decoder, found)
        token = ids[:, -1]
        after = model(token[:, None], cache=cache, last_only=True).logits[:, -1]
        torch.testing.assert_close(step(token), after, rtol=0, atol=2e-3)
    kept = recorded_prompt(model, ids, length)
    assert kept is not None
    assert all(stack.graph is not None for stack in kept.stacks.values())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_replies_at_once_are_those_alone():
    """Every reply records a step of its own, and CUDA lets one be recorded at a time."""
    model = model_with(**SHAPE).cuda()
    prompts = [tokens(1, 20 + 11 * k, seed=k).cuda() for k in range(6)]
    settings = GenerationSettings(max_new_tokens=12)
    alone = [generate(model, ids, settings=settings).token_ids for ids in prompts]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(4):
            at_once = pool.map(lambda ids: generate(model, ids, settings=settings), prompts)
            assert [reply.token_ids for reply in at_once] == alone
