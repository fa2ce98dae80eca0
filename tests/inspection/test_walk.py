"""The forward pass in steps is the model's own forward pass, wherever one goes on from, and leaves no trace on it."""

import pytest
import torch

from q2a_core.inspection.case import open_case
from q2a_core.inspection.walk import decode_from, decoder_states, encode_from, prefill_from
from q2a_core.inspection.words import END, group_words


@pytest.fixture(scope="module")
def forward(case):
    """The model's own logits (1, P + R - 1, V) and audio embeddings, from the mel on."""
    from inspection.conftest import noise
    from q2a_core.audio.mel import log_mel

    mel = log_mel(noise(1.69, 0), max_frames=case.model.config.encoder.max_mel_frames)[None]
    ids = torch.cat([case.prompt_ids, torch.tensor([case.reply_ids[:-1]])], dim=1)
    lengths = torch.tensor([169])
    with torch.inference_mode():
        return (
            case.model(ids, mel=mel, mel_lengths=lengths).logits,
            case.model.encode_audio(mel, lengths),
            ids,
        )


def test_going_on_from_any_block_gives_the_models_logits(case, forward):
    logits, embeds, ids = forward
    last = len(case.reply_ids)
    with torch.inference_mode():
        for layer, x in enumerate(case.encoder_states):
            torch.testing.assert_close(encode_from(case.model, x, layer=layer)[0], embeds)
        for layer, x in enumerate(decoder_states(case.model, ids, embeds)):
            torch.testing.assert_close(case.decoder_states[layer], x)
            found = decode_from(case.model, x, layer=layer, last=last)
            torch.testing.assert_close(found, logits[:, -last:])


def test_log_probabilities_are_those_of_the_reply(case):
    assert list(case.reply_ids[: len(case.reply.token_ids)]) == case.reply.token_ids
    expected = torch.tensor(case.reply.logps)
    torch.testing.assert_close(case.logps[: len(expected)], expected, atol=1e-4, rtol=0)


def test_a_reply_that_was_ended_holds_the_token_that_ended_it(chat, monkeypatch):
    from inspection.conftest import noise

    whole = open_case(chat, noise(0.5, 3), "What?", sample_rate=16_000)
    stop = whole.reply.token_ids[1]  # from now on the second token of this reply ends replies
    config = chat.checkpoint.generation_config | {"eos_token_id": [stop, whole.reply.token_ids[0]]}
    monkeypatch.setitem(chat.checkpoint.generation_config, "eos_token_id", config["eos_token_id"])
    ended = open_case(chat, noise(0.5, 3), "What?", sample_rate=16_000)
    assert ended.reply.token_ids == []
    assert ended.reply_ids == whole.reply_ids[:1], "an empty reply is its end alone"
    assert [word.text for word in ended.words] == [END]


def test_prefill_of_unchanged_states_is_the_models_own(case):
    prompt = case.prompt_ids.shape[1]
    embeds = case.decoder_states[0][:, :prompt]
    with torch.inference_mode():
        own = case.model.new_cache(1, prompt)
        audio = embeds[0, case.first_audio : case.first_audio + case.num_tokens]
        expected = case.model(case.prompt_ids, audio_embeds=audio, cache=own, last_only=True)
        for layer in range(len(case.model.decoder.layers)):
            cache = case.model.new_cache(1, prompt)
            x = case.decoder_states[layer][:, :prompt]
            logits = prefill_from(case.model, embeds, x, cache, layer=layer)
            torch.testing.assert_close(logits, expected.logits[:, -1])
            torch.testing.assert_close(cache.memory, own.memory)
            assert cache.length == prompt


def test_nothing_stays_on_the_model(case):
    for module in case.model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


class Pieces:
    """A tokenizer whose token k is the k-th piece of bytes."""

    def __init__(self, *pieces: bytes):
        self.pieces = pieces

    def decode(self, ids, *, skip_special=True):
        return b"".join(self.pieces[k] for k in ids).decode("utf-8", errors="replace")


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ((b"This", b" is", b" a", b" key", b"board", b"."), ["This", "is", "a", "keyboard."]),
        (("这".encode(), "是".encode(), "狗".encode()), ["这", "是", "狗"]),
        (("狗".encode()[:1], "狗".encode()[1:], b" x"), ["狗", "x"]),
        ((b" ", b"a"), ["␣", "a"]),
        (("é".encode()[:1],), ["\ufffd"]),
    ],
)
def test_tokens_become_words(pieces, words):
    found = group_words(Pieces(*pieces), range(len(pieces)))
    assert [word.text for word in found] == words
    assert [word.first for word in found][1:] == [word.stop for word in found][:-1]
    assert (found[0].first, found[-1].stop) == (0, len(pieces))


def test_the_end_is_a_word_of_its_own():
    found = group_words(Pieces(b"yes", b"<end>"), [0, 1], stop_ids=[1])
    assert [word.text for word in found] == ["yes", END]
