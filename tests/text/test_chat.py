"""The chat format: placeholders, templates that misbehave, base models without a template."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from q2a_core.errors import ChatError, CheckpointError
from q2a_core.text import (
    ChatFormat,
    Tokenizer,
    expand_placeholders,
    system_message,
    user_message,
)
from q2a_core.text.chat import MINI_TEMPLATE

AUDIO = 3
USER = [user_message("What?", clips=1)]


@given(st.data())
def test_expansion_repeats_each_placeholder_and_nothing_else(data):
    ids = data.draw(st.lists(st.integers(0, 6), max_size=30))
    counts = [data.draw(st.integers(1, 5)) for token in ids if token == AUDIO]
    expanded = expand_placeholders(ids, AUDIO, counts)
    assert len(expanded) == len(ids) - len(counts) + sum(counts)
    assert [t for t in expanded if t != AUDIO] == [t for t in ids if t != AUDIO]
    position, remaining = 0, iter(counts)
    for token in ids:
        step = next(remaining) if token == AUDIO else 1
        assert expanded[position : position + step] == [token] * step
        position += step


@pytest.mark.parametrize(
    ("ids", "counts", "message"),
    [
        ([1, AUDIO, 2], [], "1 .* placeholders for 0 clips"),
        ([1, 2], [4], "0 .* placeholders for 1 clips"),
        ([AUDIO, AUDIO], [4], "2 .* placeholders for 1 clips"),
        ([AUDIO], [4, 4], "one clip per placeholder, in order"),
        ([AUDIO], [0], "at least 321 samples"),
        ([AUDIO, AUDIO], [3, -1], "too short"),
    ],
    ids=str,
)
def test_expansion_refuses_what_does_not_fit(ids, counts, message):
    with pytest.raises(ChatError, match=message):
        expand_placeholders(ids, AUDIO, counts)


def test_a_placeholder_typed_by_the_user_is_noticed(chat_format):
    with pytest.raises(ChatError, match=r"2 .* placeholders for 1 clips"):
        chat_format.prompt_ids([user_message("What is <|AUDIO|>?", clips=1)], [5])


def test_user_message():
    assert user_message(None, clips=2)["content"] == [{"type": "audio"}] * 2
    assert user_message("Hi", clips=1)["content"][-1] == {"type": "text", "text": "Hi"}
    assert user_message("Hi")["role"] == "user"


def test_a_base_model_has_no_template(tokenizer):
    """Facts: `<|audio_bos|><|AUDIO|><|audio_eos|>Generate the caption in English:` and nothing around it."""
    base = ChatFormat(tokenizer, None, audio_token_id=AUDIO)
    messages = [user_message("Generate the caption in English:", clips=1)]
    rendered = "<|audio_bos|><|AUDIO|><|audio_eos|>Generate the caption in English:"
    assert base.render(messages) == rendered
    assert base.render([{"role": "user", "content": "Once"}]) == "Once"
    ids = base.prompt_ids(messages, [2])
    assert ids[:4] == [4, AUDIO, AUDIO, 5]


def test_every_assistant_turn_is_taught(chat_format):
    messages = [
        user_message("What?", clips=1),
        {"role": "assistant", "content": "A dog."},
        user_message(None, clips=2),
        {"role": "assistant", "content": ""},
    ]
    dialogue = chat_format.dialogue(messages, [2, 3, 4])
    taught = [t for t, used in zip(dialogue.input_ids, dialogue.loss_mask, strict=True) if used]
    decoded = chat_format.tokenizer.decode(taught, skip_special=False)
    assert decoded == "A dog.<|im_end|><|im_end|>"
    assert dialogue.input_ids.count(AUDIO) == 9


def test_a_reply_is_cut_as_it_will_be_generated(chat_format):
    """The first letters of a reply never melt into the token of the line break before it."""
    for reply in ("\n\nA dog.", "  A dog.", "A dog.\n", "3", ""):
        messages = [user_message("What?"), {"role": "assistant", "content": reply}]
        dialogue = chat_format.dialogue(messages, [])
        prompt = chat_format.prompt_ids(messages[:1], [])
        own = chat_format.tokenizer.encode(reply + "<|im_end|>")
        assert dialogue.input_ids[: len(prompt)] == prompt
        assert dialogue.input_ids[len(prompt) : len(prompt) + len(own)] == own
        assert dialogue.loss_mask[len(prompt) :] == [True] * len(own) + [False]


def test_a_dialogue_that_begins_with_a_reply_is_refused(chat_format):
    with pytest.raises(CheckpointError, match="labels cannot be placed"):
        chat_format.dialogue([{"role": "assistant", "content": "Hello"}], [])


HOSTILE = {
    "runs a command": "{{ cycler.__init__.__globals__.os.system('touch MARKER') }}",
    "reads a file": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "imports": "{{ self.__init__.__globals__['__builtins__'] }}",
    "reaches through a method": "{{ messages.__class__.__base__.__subclasses__()[0] }}",
    "formats its way out": "{{ '{0.__class__.__init__.__globals__}'.format(messages) }}",
    "changes the dialogue": "{{ messages.append(1) }}",
    "an endless range": "{% for i in range(10**12) %}x{% endfor %}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "divides by zero": "{{ 1 // 0 }}",
    "a missing filter": "{{ messages | nothing }}",
    "not closed": "{% for m in messages %}",
    "no such tag": "{% exec 'x' %}",
    "calls what is not there": "{{ open('/etc/passwd').read() }}",
    "a missing attribute of nothing": "{{ nothing.at.all }}",
    "deeply nested": "{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_are_one_sentence(name, tokenizer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chat_format = ChatFormat(tokenizer, HOSTILE[name], audio_token_id=AUDIO)
    with pytest.raises(CheckpointError, match="chat template") as caught:
        chat_format.render(USER)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_template_may_refuse_a_dialogue(tokenizer):
    template = "{{ raise_exception('roles must alternate') }}"
    chat_format = ChatFormat(tokenizer, template, audio_token_id=AUDIO)
    with pytest.raises(ChatError, match="refuses this dialogue: roles must alternate"):
        chat_format.render(USER)


def test_a_template_that_drops_the_clip_is_noticed(tokenizer):
    chat_format = ChatFormat(tokenizer, "{{ messages[0]['role'] }}", audio_token_id=AUDIO)
    with pytest.raises(ChatError, match=r"0 .* placeholders for 1 clips"):
        chat_format.prompt_ids(USER, [4])


def test_a_template_that_rewrites_earlier_turns_cannot_be_taught(tokenizer):
    template = "{{ messages | length }}" + MINI_TEMPLATE
    chat_format = ChatFormat(tokenizer, template, audio_token_id=AUDIO)
    messages = [*USER, {"role": "assistant", "content": "A dog."}] * 2
    with pytest.raises(CheckpointError, match="rewrites earlier turns"):
        chat_format.dialogue(messages, [1, 1])


def test_the_template_sees_text_as_text(chat_format):
    rendered = chat_format.render([user_message("{{ 1 + 1 }} <b>&</b>")])
    assert "{{ 1 + 1 }} <b>&</b>" in rendered


def test_a_dialogue_that_does_not_end_with_a_reply_teaches_nothing_and_is_refused(chat_format):
    asked = [user_message("Hello"), {"role": "assistant", "content": "Hi."}, user_message("And?")]
    with pytest.raises(ChatError, match="ends with user"):
        chat_format.dialogue(asked, [])
    with pytest.raises(ChatError, match="ends with nothing"):
        chat_format.dialogue([], [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Wie hei\udcdft das?", r"holds '\\udcdf' at position 7.*valid Unicode"),
        ("\ud83d", "holds .* no character"),
        (5, "is 5 of type int; expected a str"),
        (b"What?", "is b'What\\?' of type bytes"),
    ],
    ids=ascii,
)
def test_what_is_no_text_is_refused_in_one_sentence(text, message, chat_format):
    with pytest.raises(ChatError, match=f"the text {message}") as caught:
        user_message(text)
    str(caught.value).encode()  # a face may print it
    with pytest.raises(ChatError, match=f"the system prompt {message}"):
        system_message(text)
    if isinstance(text, str):
        with pytest.raises(ChatError, match="valid Unicode"):
            chat_format.prompt_ids([{"role": "user", "content": text}], [])


def test_ids_that_pad_and_stop(chat_format, tokenizer):
    assert (chat_format.pad_id, chat_format.stop_ids) == (0, (2, 0))
    without = tokenizer.to_json().replace("<|endoftext|>", "<|end|>").encode()
    other = ChatFormat(Tokenizer.from_json(without), None, audio_token_id=AUDIO)
    assert (other.pad_id, other.stop_ids) == (0, (2,))
