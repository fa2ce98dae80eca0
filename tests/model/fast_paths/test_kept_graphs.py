"""What is kept of a model from reply to reply: who may use it, for how long, and that replies stay what they are."""

import gc
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from model.fast_paths.small_models import SHAPE, clip, model_with, prompt_for, tokens
from q2a_core.inference import GenerationSettings, generate, generate_steps
from q2a_core.inspection.model_view import steered_view
from q2a_core.model import GraphPrompt, GraphStep, KeptGraphs, graphs_of
from q2a_core.model.fast_paths.kept_graphs import _KEPT, IDLE, ROOM

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def capturable(monkeypatch):
    """What is captured on a GPU runs uncaptured here, through the same code."""
    monkeypatch.setattr("q2a_core.model.fast_paths.kept_graphs.is_capturable", lambda model: True)


def kept_of(model) -> KeptGraphs:
    found = graphs_of(model)
    assert found is not None
    return found


def replies(model, count=4, **settings):
    """Token ids of replies to a clip and to prompts of several lengths, one after another."""
    mel, length = clip(model, 90)
    ids = prompt_for(model, model.encode_audio(mel, length))
    chosen = GenerationSettings(**{"max_new_tokens": 12} | settings)
    found = [generate(model, ids, mel=mel, mel_lengths=length, settings=chosen).token_ids]
    for number in range(count):
        ids = tokens(1, 9 + 150 * number, seed=number)
        found.append(generate(model, ids, settings=chosen).token_ids)
    return found


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_replies_are_the_same_with_it(capturable, monkeypatch, penalty):
    model = model_with(**SHAPE)
    with monkeypatch.context() as without:
        without.setattr("q2a_core.model.fast_paths.kept_graphs.is_capturable", lambda model: False)
        plain = replies(model, repetition_penalty=penalty)
    used = []
    prefill, step = GraphPrompt.prefill, GraphStep.__call__
    monkeypatch.setattr(GraphPrompt, "prefill", lambda *a: used.append("prompt") or prefill(*a))
    monkeypatch.setattr(GraphStep, "__call__", lambda *a: used.append("step") or step(*a))
    for _ in range(2):  # memory that an earlier reply filled is used again
        assert replies(model, repetition_penalty=penalty) == plain
    assert used.count("prompt") == 2 * 5
    assert used.count("step") == 2 * 5 * 11


def test_a_step_goes_from_reply_to_reply(capturable):
    model = model_with(**SHAPE)
    replies(model, 2)
    kept = kept_of(model)
    first = list(kept.idle)
    replies(model, 2)
    assert kept_of(model) is kept
    assert {id(step) for step in kept.idle} == {id(step) for step in first}
    assert all(step.fixed.max_length % ROOM == 0 for step in first)
    assert sum(step.steps for step in first) == 2 * 3 * 11, "all replies went through them"


def test_replies_at_the_same_time_have_steps_of_their_own(capturable):
    model, ids = model_with(**SHAPE), tokens(1, 20)
    settings = GenerationSettings(max_new_tokens=6)
    alone = generate(model, ids, settings=settings).token_ids[0]
    streams = [generate_steps(model, ids, settings=settings) for _ in range(IDLE + 2)]
    turn_about = [[said[0] for said, _ in steps] for steps in zip(*streams, strict=True)]
    assert [list(column) for column in zip(*turn_about, strict=True)] == [alone] * len(streams)
    assert len(kept_of(model).idle) == IDLE, "what is kept is bounded"


def test_a_reply_that_nobody_hears_to_its_end_gives_its_step_back(capturable):
    model = model_with(**SHAPE)
    stream = generate_steps(model, tokens(1, 9), settings=GenerationSettings(max_new_tokens=9))
    next(stream)
    assert kept_of(model).idle == []
    stream.close()
    assert len(kept_of(model).idle) == 1


def test_no_step_is_longer_than_the_model_can_count(capturable):
    model = model_with(**SHAPE, max_positions=300)
    with kept_of(model).step(290) as step:
        assert step.fixed.max_length == 290
    with kept_of(model).step(200) as step:
        assert step.fixed.max_length == ROOM


def test_how_long_it_is_kept(capturable, monkeypatch):
    model = model_with(**SHAPE)
    kept = kept_of(model)
    assert graphs_of(model) is kept
    model.decoder.lm_head.weight.data = model.decoder.lm_head.weight.data.clone()
    moved = graphs_of(model)
    assert moved is not kept, "weights lie elsewhere"
    model.decoder.backend = "reference"
    assert graphs_of(model) is not moved, "another attention"
    del kept, moved
    with monkeypatch.context() as on_a_cpu:
        on_a_cpu.setattr("q2a_core.model.fast_paths.kept_graphs.is_capturable", lambda model: False)
        assert graphs_of(model) is None
        assert model not in _KEPT, "a model that left the GPU leaves nothing there"
    graphs_of(model)
    before = len(_KEPT)
    del model
    gc.collect()
    assert len(_KEPT) == before - 1, "a model that nobody holds takes its graphs along"


def test_a_model_that_somebody_changed_is_not_replayed(capturable):
    """A view of a model steers the last position, which is padding in a prompt that was filled up."""
    model = model_with(**SHAPE)
    kept = kept_of(model)
    assert graphs_of(steered_view(model, 1, torch.ones(64))) is None
    handle = model.decoder.norm.register_forward_hook(lambda *_: None)
    assert graphs_of(model) is None
    handle.remove()
    everywhere = torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    assert graphs_of(model) is None
    everywhere.remove()
    assert graphs_of(model) is kept
    model.decoder.norm.eps = 0.1
    assert graphs_of(model) is None, "another constant"

    class Adapted(torch.nn.Linear):
        """Stands for an adapter."""

    model = model_with(**SHAPE)
    assert graphs_of(model) is not None
    model.decoder.layers[0].self_attn.q_proj = Adapted(64, 64)
    assert graphs_of(model) is None


def test_rows_with_padding_take_a_captured_step_of_their_own(capturable, monkeypatch):
    model, ids = model_with(**SHAPE), tokens(2, 10)
    mask = torch.ones_like(ids)
    mask[1, :4] = 0
    settings = GenerationSettings(max_new_tokens=20)
    with monkeypatch.context() as without:
        without.setattr("q2a_core.model.fast_paths.kept_graphs.is_capturable", lambda model: False)
        plain = generate(model, ids, attention_mask=mask, settings=settings)
    taken = []

    class Counted(GraphStep):
        def __call__(self, tokens):
            taken.append(len(tokens))
            return super().__call__(tokens)

    monkeypatch.setattr(sys.modules["q2a_core.inference.decode_step"], "GraphStep", Counted)
    fixed = generate(model, ids, attention_mask=mask, settings=settings)
    assert taken == [2] * 19
    assert fixed.token_ids == plain.token_ids
    for ours, theirs in zip(fixed.logps, plain.logps, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


@pytest.mark.gpu
@on_gpu
def test_what_cannot_be_captured_runs_as_it_comes():
    from q2a_core.model.fast_paths.cuda_graph import capture

    device = torch.device("cuda", torch.cuda.current_device())
    x, before = torch.ones(3, device=device), torch.cuda.current_stream()
    assert capture(device, lambda: x * float(x.sum().item())) is None, "it waits for the device"
    assert torch.cuda.current_stream() == before
    captured = capture(device, lambda: 2 * x)
    assert captured is not None
    graph, output = captured
    x.fill_(4)
    graph.replay()
    assert output.tolist() == [8, 8, 8]


@pytest.mark.gpu
@on_gpu
def test_replies_at_once_are_those_alone():
    """CUDA lets one step be captured at a time."""
    model = model_with(**SHAPE).cuda()
    prompts = [tokens(1, 20 + 11 * k, seed=k).cuda() for k in range(6)]
    settings = GenerationSettings(max_new_tokens=12)
    alone = [generate(model, ids, settings=settings).token_ids for ids in prompts]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(4):
            at_once = pool.map(lambda ids: generate(model, ids, settings=settings), prompts)
            assert [reply.token_ids for reply in at_once] == alone
    assert all(step.graph is not None for step in kept_of(model).idle)
