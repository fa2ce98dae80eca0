"""Dialogues as text and ids, beside Qwen2AudioProcessor; and what the loss mask may and may not cover."""

import unicodedata

import numpy as np
import pytest
from transformers import AutoProcessor, Qwen2AudioProcessor

from q2a_core.checkpoint import Checkpoint, open_checkpoint
from q2a_core.errors import ChatError
from q2a_core.lengths import tokens_of_samples
from q2a_core.text import user_message

AUDIO = {"type": "audio"}


def said(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def user(*parts: dict[str, str]) -> dict:
    return {"role": "user", "content": list(parts)}


def system(text: str) -> dict:
    return {"role": "system", "content": text}


def reply(text: str) -> dict:
    return {"role": "assistant", "content": text}


DIALOGUES = {
    "voice chat": [user(AUDIO)],
    "audio analysis": [user(AUDIO, said("What is this sound?"))],
    "text only": [user(said("Hello!"))],
    "plain string": [{"role": "user", "content": "Hello!"}],
    "own system prompt": [system("Answer in German."), user(AUDIO)],
    "empty system prompt": [system(""), user(AUDIO)],
    "system prompt as parts": [{"role": "system", "content": [said("Be brief.")]}, user(AUDIO)],
    "two clips in a turn": [user(AUDIO, AUDIO, said("Which is louder?"))],
    "three clips, no text": [user(AUDIO, AUDIO, AUDIO)],
    "text before audio": [user(said("Listen:"), AUDIO)],
    "text between clips": [user(AUDIO, said("and"), AUDIO, said("differ how?"))],
    "two texts": [user(AUDIO, said("What"), said(" is this?"))],
    "second turn in text": [user(AUDIO), reply("A dog barks twice."), user(said("How often?"))],
    "second turn in speech": [user(AUDIO, said("What?")), reply("A dog."), user(AUDIO)],
    "four turns": [
        user(AUDIO, said("Translate into Chinese.")),
        reply("这是狗的声音。"),
        user(AUDIO),
        reply("Das ist ein Hund."),
        user(said("And again?")),
        reply("A dog."),
        user(AUDIO, AUDIO),
    ],
    "ends with a reply": [user(AUDIO), reply("A dog barks.")],
    "begins with a reply": [reply("Hello, what did you hear?"), user(AUDIO)],
    "reply as parts": [
        user(AUDIO),
        {"role": "assistant", "content": [said("A dog.")]},
        user(AUDIO),
    ],
    "audio by url": [user({"type": "audio", "audio_url": "a.wav"}, said("What?"))],
    "audio by path key": [user({"type": "audio", "audio": "a.wav"}, said("What?"))],
    "chinese": [user(AUDIO, said("这是什么声音？"))],
    "emoji and accents": [user(AUDIO, said("Ça va? 🐶🎉 Größe, naïve, e\u0301"))],
    "newlines and spaces": [user(AUDIO, said("  one\n\n two\t three  \n"))],
    "empty text": [user(AUDIO, said(""))],
    "digits and punctuation": [user(AUDIO, said("3,141.59 = pi?! (or not...) it's I'LL"))],
    "braces are no template": [user(AUDIO, said("{{ 7 * 7 }} {% if x %} {# note #}"))],
    "html is not escaped": [user(AUDIO, said("<b>&amp;</b> \"quoted\" 'single'"))],
    "a tag token in the text": [user(AUDIO, said("Detect the language: <|en|>"))],
    "control characters": [user(AUDIO, said("a\u200bb\u0007c\ufffd"))],
}


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint) -> Checkpoint:
    return open_checkpoint(tiny_checkpoint)


@pytest.fixture(scope="module")
def processor(tiny_checkpoint) -> Qwen2AudioProcessor:
    return AutoProcessor.from_pretrained(tiny_checkpoint)


def number_of_clips(messages: list[dict]) -> int:
    contents = [m["content"] for m in messages if not isinstance(m["content"], str)]
    return sum(part["type"] == "audio" for content in contents for part in content)


@pytest.mark.parametrize("name", DIALOGUES)
def test_rendered_and_encoded_as_the_processor_does(name, checkpoint, processor, findings):
    messages = DIALOGUES[name]
    chat_format = checkpoint.chat_format
    for prompt in (True, False):
        ours = chat_format.render(messages, add_generation_prompt=prompt)
        theirs = processor.apply_chat_template(
            messages, add_generation_prompt=prompt, tokenize=False
        )
        assert ours == theirs
    rng = np.random.default_rng(len(name))
    lengths = rng.integers(321, 80_000, size=number_of_clips(messages)).tolist()
    clips = [np.zeros(length, dtype=np.float32) for length in lengths]
    inputs = processor(text=chat_format.render(messages), audio=clips or None, sampling_rate=16_000)
    ids = chat_format.prompt_ids(messages, [tokens_of_samples(length) for length in lengths])
    assert ids == inputs["input_ids"][0]
    findings.count("dialogues compared, text and ids", 1)


def test_a_user_message_is_what_the_processor_takes(checkpoint, processor):
    for text, clips in ((None, 1), ("What?", 2), ("Hello", 0)):
        messages = [user_message(text, clips=clips)]
        assert checkpoint.chat_format.render(messages) == processor.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False
        )


def test_clips_too_short_for_a_token_are_refused_where_the_processor_drops_them(
    checkpoint, processor
):
    """320 samples give no token: the processor deletes the placeholder without a word and `Audio 1:` names nothing."""
    messages = DIALOGUES["voice chat"]
    text = checkpoint.chat_format.render(messages)
    inputs = processor(text=text, audio=[np.zeros(320, dtype=np.float32)], sampling_rate=16_000)
    assert checkpoint.config.audio_token_id not in inputs["input_ids"][0]
    with pytest.raises(ChatError, match="321 samples"):
        checkpoint.chat_format.prompt_ids(messages, [tokens_of_samples(320)])


def test_counts_that_disagree_are_refused_by_both(checkpoint, processor):
    messages = DIALOGUES["two clips in a turn"]
    text = checkpoint.chat_format.render(messages)
    with pytest.raises(ValueError, match="2 "):
        processor(text=text, audio=[np.zeros(900, dtype=np.float32)], sampling_rate=16_000)
    with pytest.raises(ChatError, match=r"2 .* placeholders for 1 clips"):
        checkpoint.chat_format.prompt_ids(messages, [1])


def begins_and_ends_with_the_user(messages: list[dict]) -> bool:
    return messages[0]["role"] != "assistant" and messages[-1]["role"] == "user"


@pytest.mark.parametrize(
    "name", [name for name, turns in DIALOGUES.items() if begins_and_ends_with_the_user(turns)]
)
def test_loss_mask(name, checkpoint):
    """The mask covers each reply with the token that ends it and nothing else; a prompt is a prefix."""
    messages = [*DIALOGUES[name], reply("It is a dog. 汪!")]
    tokenizer = checkpoint.chat_format.tokenizer
    counts = [2 + n for n in range(number_of_clips(messages))]
    dialogue = checkpoint.chat_format.dialogue(messages, counts)
    assert len(dialogue.input_ids) == len(dialogue.loss_mask)
    taught = [
        token for token, used in zip(dialogue.input_ids, dialogue.loss_mask, strict=True) if used
    ]
    replies = [
        m["content"] if isinstance(m["content"], str) else "".join(p["text"] for p in m["content"])
        for m in messages
        if m["role"] == "assistant"
    ]
    assert tokenizer.decode(taught, skip_special=False) == "".join(
        r + "<|im_end|>" for r in replies
    )
    assert checkpoint.config.audio_token_id not in taught
    assert dialogue.input_ids.count(checkpoint.config.audio_token_id) == sum(counts)
    whole = checkpoint.chat_format.render(messages, add_generation_prompt=False)
    decoded = tokenizer.decode(dialogue.input_ids, skip_special=False)
    expected = unicodedata.normalize("NFC", whole)  # as Qwen2's tokenizer does
    assert decoded.replace("<|AUDIO|>", "") == expected.replace("<|AUDIO|>", "")
    prompt = checkpoint.chat_format.prompt_ids(messages[:-1], counts)
    assert dialogue.input_ids[: len(prompt)] == prompt
    assert not dialogue.loss_mask[len(prompt) - 1]
    assert dialogue.loss_mask[len(prompt)]
    assert not dialogue.loss_mask[-1]  # the newline after <|im_end|> is never generated
    assert dialogue.loss_mask[-2]
