"""Scoring a given reply, and the meter: against decoding itself, and against models that cannot hear."""

import copy

import numpy as np
import pytest
import torch

from q2a_core import AudioChat, load_waveform
from q2a_core.errors import AudioError, ChatError
from q2a_core.inference import Prompt
from q2a_core.inspection import read_gallery
from q2a_core.inspection.listening import QUIETEST_NOISE, is_listening, like_noise
from q2a_core.inspection.scoring import score_replies, token_pieces

RATE = 16_000


@pytest.fixture(scope="module")
def chat(tiny_checkpoint) -> AudioChat:
    return AudioChat.from_pretrained(tiny_checkpoint)


@pytest.fixture(scope="module")
def deaf(chat) -> AudioChat:
    """The same model, except that every sound reaches the decoder as the same token."""
    model = copy.deepcopy(chat.model)
    with torch.no_grad():
        model.projector.linear.weight.zero_()
    return AudioChat(chat.checkpoint, model)


def clip(seconds: float = 0.5, seed: int = 0, level: float = 0.2):
    samples = level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return load_waveform(samples.clip(-1, 1).astype(np.float32), sample_rate=RATE)


def test_scores_are_those_of_decoding(chat):
    """Unequal clips, texts and replies in one batch of more rows than are scored at once."""
    cases = [(clip(0.1 + 0.37 * k, k), None if k % 3 else f"Question {k}?") for k in range(10)]
    prompts, replies, expected = [], [], []
    for number, (waveform, text) in enumerate(cases):
        reply = chat.fork().ask(waveform, text, max_new_tokens=1 + number)
        prompts.append(chat.fork().prompt(waveform, text))
        replies.append(reply.token_ids)
        expected.append(reply.logps)
    for scores, logps in zip(score_replies(chat.model, prompts, replies), expected, strict=True):
        np.testing.assert_allclose(scores, logps, atol=1e-5)


def test_sampled_replies_and_later_turns_are_scored_too(chat):
    dialogue = chat.fork()
    dialogue.ask(clip(), "First?", max_new_tokens=3)
    prompt = dialogue.prompt(clip(1.0, 3), "Second?")
    reply = dialogue.ask(clip(1.0, 3), "Second?", max_new_tokens=8, temperature=2.0, seed=5)
    [scores] = score_replies(chat.model, [prompt], [reply.token_ids])
    np.testing.assert_allclose(scores, reply.logps, atol=1e-5)


def test_asking_for_a_prompt_changes_nothing(chat):
    dialogue = chat.fork()
    before = dialogue.ask(clip(), "What?", max_new_tokens=4)
    dialogue.prompt(clip(1.0, 1), "Another?")
    assert len(dialogue.messages) == 2
    assert dialogue.last_reply is before


def test_an_empty_reply_and_an_empty_prompt(chat):
    prompt = chat.fork().prompt(clip(), None)
    assert score_replies(chat.model, [prompt], [[]])[0].shape == (0,)
    with pytest.raises(ChatError, match="after something"):
        score_replies(chat.model, [Prompt(messages=[], ids=[], audio_embeds=[], notices=())], [[5]])


def test_pieces_make_up_the_text(chat):
    tokenizer = chat.checkpoint.chat_format.tokenizer
    for text in ("This is the sound of a keyboard.", "这是狗的声音。", "größer ☃"):
        ids = tokenizer.encode(text)
        pieces = token_pieces(tokenizer, ids)
        assert len(pieces) == len(ids)
        assert "".join(pieces) == text
    assert token_pieces(tokenizer, []) == []


def meter(chat, waveform, text=None, **options):
    reply = chat.fork().ask(waveform, text, max_new_tokens=6)
    options = {"other": clip(0.7, 9), "rng": np.random.default_rng(0)} | options
    return is_listening(chat, waveform, text, reply.token_ids, **options), reply


@pytest.mark.parametrize("text", [None, "What is this sound?"])
def test_the_clip_comes_first_and_scores_as_it_was_decoded(chat, text):
    listening, reply = meter(chat, clip(), text)
    names = [heard.condition for heard in listening.heard]
    assert names == ["clip", "silence", "noise", "another clip", "no audio"]
    np.testing.assert_allclose(listening.heard[0].logps, reply.logps, atol=1e-5)
    assert "".join(listening.pieces) == reply.text
    rival = max(listening.heard[1:], key=lambda heard: heard.logps.sum())
    gain = (listening.heard[0].logps - rival.logps).mean()
    assert listening.gain == pytest.approx(gain, abs=1e-6)
    assert listening.token_gains.mean() == pytest.approx(listening.gain, abs=1e-6)


def test_without_audio_is_a_text_turn(chat):
    listening, reply = meter(chat, clip(), "What is this sound?")
    turn = chat.fork().prompt(None, "What is this sound?")
    [expected] = score_replies(chat.model, [turn], [reply.token_ids])
    np.testing.assert_allclose(listening.heard[-1].logps, expected, atol=1e-6)


def test_a_deaf_model_gains_nothing(chat, deaf):
    listening, _ = meter(deaf, clip())
    for heard in listening.heard[1:3]:  # as long as the clip
        np.testing.assert_allclose(heard.logps, listening.heard[0].logps, atol=1e-5)
    assert listening.gain <= 1e-5
    hearing, _ = meter(chat, clip())
    assert not np.allclose(hearing.heard[0].logps, hearing.heard[1].logps, atol=1e-3)


def test_silence_is_its_own_rival(chat):
    silence = load_waveform(np.zeros(RATE, np.float32), sample_rate=RATE)
    listening, _ = meter(chat, silence)
    np.testing.assert_allclose(listening.heard[1].logps, listening.heard[0].logps, atol=1e-6)
    assert listening.gain <= 1e-6


def test_the_noise_is_drawn_and_as_loud_as_the_clip():
    samples = clip(1.0, 3, level=0.1).samples
    draws = [like_noise(samples, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    assert draws[0].std() == pytest.approx(samples.std(), rel=0.05)
    assert like_noise(np.zeros(RATE, np.float32), np.random.default_rng(0)).std() == pytest.approx(
        QUIETEST_NOISE, rel=0.05
    )
    assert np.abs(like_noise(np.ones(RATE, np.float32), np.random.default_rng(0))).max() <= 1


def test_no_other_clip_and_a_dialogue_under_way(chat):
    busy = chat.fork()
    busy.ask(clip(0.4, 4), "Before?", max_new_tokens=3)
    alone, _ = meter(chat, clip(), other=None)
    beside, _ = meter(busy, clip(), other=None)
    assert [heard.condition for heard in alone.heard] == ["clip", "silence", "noise", "no audio"]
    np.testing.assert_allclose(alone.heard[0].logps, beside.heard[0].logps, atol=1e-6)
    assert len(busy.messages) == 2


def test_too_long_a_clip_is_refused_or_cut(chat):
    long = clip(6.0)  # the tiny window is 5 s
    with pytest.raises(AudioError, match="hears 5 s at once"):
        is_listening(chat, long, None, [5], other=None, rng=np.random.default_rng(0))
    options = {"rng": np.random.default_rng(0), "split": True}
    cut = is_listening(chat, long, None, [5], other=clip(7.0, 2), **options)
    assert len(cut.heard) == 5
    short = is_listening(chat, clip(), None, [5], other=long, rng=np.random.default_rng(0))
    assert len(short.heard) == 5


def test_the_shipped_model_listens():
    """A trained model needs the clip to name its sound: on most sounds of the gallery, by half a nat a token."""
    chat = AudioChat.from_pretrained("mini")
    samples = [sample for sample in read_gallery() if sample.kind in ("sound", "speech")]
    assert len(samples) >= 5
    gains = []
    for sample, other in zip(samples, samples[1:] + samples[:1], strict=True):
        waveform = load_waveform(sample.path)
        reply = chat.fork().ask(waveform, temperature=0.0)
        options = {"other": load_waveform(other.path), "rng": np.random.default_rng(0)}
        gains.append(is_listening(chat, waveform, None, reply.token_ids, **options).gain)
    assert np.median(gains) > 0.5
