"""Views of a shared model: what they record and push, and that nobody else notices."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from q2a_core import AudioChat, load_waveform
from q2a_core.inspection.model_view import last_states, steered_view, view_with_blocks
from q2a_core.inspection.steering import random_direction, steer

RATE = 16_000


@pytest.fixture(scope="module")
def chat(tiny_checkpoint) -> AudioChat:
    return AudioChat.from_pretrained(tiny_checkpoint)


@pytest.fixture(scope="module")
def prompts(chat):
    """Unequal clips, with and without text, and one without any clip."""
    cases = [(clip(0.3 + 0.4 * k, k), None if k % 2 else "What is this?") for k in range(4)]
    return [chat.fork().prompt(*case) for case in [*cases, (None, "Hello")]]


def clip(seconds: float = 0.5, seed: int = 0):
    samples = 0.2 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return load_waveform(samples.clip(-1, 1).astype(np.float32), sample_rate=RATE)


def width(chat) -> int:
    return chat.model.config.decoder.d_model


def ask(chat, **options):
    reply = chat.fork().ask(clip(), "What is this?", max_new_tokens=12, **options)
    return reply.token_ids, reply.logps


def test_a_view_without_wraps_is_the_model(chat, prompts):
    view = view_with_blocks(chat.model, lambda number, block: block)
    ids = torch.tensor([prompts[0].ids])
    with torch.inference_mode():
        embeds = torch.cat(prompts[0].audio_embeds)
        expected = chat.model(ids, audio_embeds=embeds).logits
        assert torch.equal(view(ids, audio_embeds=embeds).logits, expected)
    assert view is not chat.model
    assert [id(p) for p in view.parameters()] == [id(p) for p in chat.model.parameters()]


def test_states_are_those_of_each_prompt_alone(chat, prompts):
    """Against hooks on a copy run one by one, and the last state against the model's own end."""
    model = chat.model
    states = last_states(model, prompts)
    assert states.shape == (model.config.decoder.num_layers + 1, len(prompts), width(chat))
    for place, prompt in enumerate(prompts):
        ids = torch.tensor([prompt.ids])
        embeds = torch.cat(prompt.audio_embeds) if prompt.audio_embeds else None
        seen, end = hooked(model, ids, embeds)
        torch.testing.assert_close(states[1:, place], torch.stack(seen), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(model.decoder.norm(states[-1, place]), end, atol=1e-5, rtol=1e-4)
        start = model.decoder.embed_tokens(ids[0, -1])
        torch.testing.assert_close(states[0, place], start)


def hooked(model, ids, embeds) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Each block's output at the last position, and the final hidden state there, by torch's own hooks."""
    seen: list[torch.Tensor] = []
    hooks = [
        block.register_forward_hook(lambda *call: seen.append(call[2][0, -1]))
        for block in model.decoder.layers
    ]
    try:
        with torch.inference_mode():
            return seen, model.hidden_states(ids, audio_embeds=embeds)[0, -1]
    finally:
        for hook in hooks:
            hook.remove()


def test_no_push_is_no_change(chat):
    vector = np.ones(width(chat), np.float32)
    tokens, logps = ask(chat)
    for layer in (1, 2):
        pushed = ask(steer(chat, layer, vector, 0.0))
        assert pushed[0] == tokens
        np.testing.assert_allclose(pushed[1], logps, atol=1e-5)


def test_a_push_after_the_last_block_shifts_the_logits_as_computed_by_hand(chat, prompts):
    rng = np.random.default_rng(0)
    vector = torch.from_numpy(rng.standard_normal(width(chat))).float()
    view = steered_view(chat.model, 2, vector)
    ids = torch.tensor([prompts[0].ids])
    with torch.inference_mode():
        embeds = torch.cat(prompts[0].audio_embeds)
        plain = chat.model(ids, audio_embeds=embeds).logits[0]
        logits = view(ids, audio_embeds=embeds).logits[0]
        state = last_states(chat.model, prompts[:1])[-1, 0] + vector
        expected = chat.model.decoder.lm_head(chat.model.decoder.norm(state))
    torch.testing.assert_close(logits[-1], expected, atol=1e-4, rtol=1e-4)
    # earlier positions are left alone
    torch.testing.assert_close(logits[:-1], plain[:-1])


def test_every_step_is_pushed(chat):
    """A push that favours one token without limit makes the reply repeat it."""
    token = 77
    head = chat.model.decoder.lm_head.weight[token].detach().numpy()
    pushed = steer(chat, 2, head / np.linalg.norm(head), 1e4)
    logits = chat.model.decoder.lm_head.weight.detach() @ torch.from_numpy(head)
    token = int(logits.argmax())
    assert ask(pushed)[0] == [token] * 12


def test_the_shared_model_is_never_written_to(chat):
    modules = dict(chat.model.named_modules())
    steer(chat, 1, np.ones(width(chat)), 3.0).ask(clip(), max_new_tokens=2)
    last_states(chat.model, [chat.fork().prompt(clip())])
    assert dict(chat.model.named_modules()) == modules
    assert chat.model.decoder.backend == "auto"
    for module in modules.values():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_five_dialogues_on_one_model_do_not_disturb_each_other(chat):
    """Plain, steered both ways, random and recording, at once and over again: each as if it were alone."""
    rng = np.random.default_rng(1)
    vector = 8 * rng.standard_normal(width(chat))
    dialogues = [
        chat,
        steer(chat, 1, vector, 1.0),
        steer(chat, 1, vector, -1.0),
        steer(chat, 2, random_direction(vector, rng), 1.0),
    ]
    alone = [ask(dialogue) for dialogue in dialogues]
    assert len({tuple(tokens) for tokens, _ in alone}) > 1, "the pushes change something"
    prompts = [chat.fork().prompt(clip(0.4, seed)) for seed in range(3)]
    states = last_states(chat.model, prompts)
    barrier = threading.Barrier(5)

    def talk(dialogue):
        barrier.wait()
        return [ask(dialogue) for _ in range(4)]

    def watch():
        barrier.wait()
        return [last_states(chat.model, prompts) for _ in range(8)]

    with ThreadPoolExecutor(5) as pool:
        talks = [pool.submit(talk, dialogue) for dialogue in dialogues]
        watched = pool.submit(watch).result()
        for done, expected in zip(talks, alone, strict=True):
            for tokens, logps in done.result():
                assert tokens == expected[0]
                np.testing.assert_allclose(logps, expected[1], atol=1e-5)
    for seen in watched:
        torch.testing.assert_close(seen, states)


def test_a_layer_that_is_not_there_is_refused(chat):
    for layer in (0, 3, -1):
        with pytest.raises(ValueError, match="expected 1 to 2"):
            steer(chat, layer, np.ones(width(chat)), 1.0)


def test_half_precision_models_are_pushed_in_their_own(tiny_checkpoint):
    chat = AudioChat.from_pretrained(tiny_checkpoint, dtype="bfloat16")
    vector = np.ones(width(chat), dtype=np.float64)
    assert steer(chat, 1, vector, 2.0).ask(clip(), max_new_tokens=2).token_ids
    assert last_states(chat.model, [chat.fork().prompt(clip())]).dtype == torch.float32


def test_a_random_direction_is_as_long_and_drawn():
    like = np.arange(64.0)
    first, again, other = (random_direction(like, np.random.default_rng(s)) for s in (0, 0, 1))
    assert np.linalg.norm(first) == pytest.approx(np.linalg.norm(like))
    assert np.array_equal(first, again)
    assert abs(first @ other) < 0.5 * np.linalg.norm(like) ** 2
