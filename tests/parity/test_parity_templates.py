"""Which chat template a checkpoint is asked with: the one that transformers' processor takes from the same files."""

import json
import logging
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoProcessor

from q2a_core import AudioChat
from q2a_core.checkpoint import open_checkpoint, save_checkpoint
from q2a_core.errors import CheckpointError
from q2a_core.text import ChatFormat, user_message
from q2a_core.text.chat import MINI_TEMPLATE

PLACES = {
    "processor_config.json": lambda text: json.dumps({"chat_template": text}),
    "chat_template.json": lambda text: json.dumps({"chat_template": text}),
    "chat_template.jinja": str,
    "additional_chat_templates/default.jinja": str,
}
TEXT_MODELS = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
OF_2024 = MINI_TEMPLATE.replace("part['type'] == 'audio'", "message['type'] == 'audio'")
"""As versions before 4.53 saved it."""
ASKED = [user_message("What is this?", clips=1)]
AS_ON_THE_MODEL_CARD = [
    {
        "role": "user",
        "content": [
            {"type": "audio", "audio_url": "a.wav"},
            {"type": "text", "text": "What is this?"},
        ],
    }
]
PLAIN = "<|audio_bos|><|AUDIO|><|audio_eos|>What is this?"


@pytest.fixture
def directory(tiny_checkpoint, tmp_path) -> Path:
    """A copy of a checkpoint that has no template."""
    copy = shutil.copytree(tiny_checkpoint, tmp_path / "foreign")
    edit(copy / "tokenizer_config.json", chat_template=None)
    return copy


def edit(path: Path, **entries: object) -> None:
    values = json.loads(path.read_text("utf-8")) | entries
    values = {name: value for name, value in values.items() if value is not None}
    path.write_text(json.dumps(values), "utf-8")


def put(directory: Path, name: str, template: str) -> None:
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(PLACES[name](template), "utf-8")


def theirs(directory: Path, messages: list[dict] = AS_ON_THE_MODEL_CARD) -> str:
    processor = AutoProcessor.from_pretrained(directory)
    return processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)


def ours(directory: Path, messages: list[dict] = ASKED) -> str:
    return open_checkpoint(directory).chat_format.prompt_text(messages)


SETS = [places for n in range(5) for places in combinations(PLACES, n)]


# transformers leaves the files of that folder open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("places", SETS, ids=lambda places: " ".join(places) or "none")
def test_the_first_place_that_transformers_looks_in(places, directory):
    edit(directory / "tokenizer_config.json", chat_template="{{ 'tokenizer' }}" + MINI_TEMPLATE)
    for name in places:
        put(directory, name, "{{ '" + name + "' }}" + MINI_TEMPLATE)
    if {"chat_template.json", "additional_chat_templates/default.jinja"} <= set(places):
        with pytest.raises(ValueError, match="conflicting files"):
            AutoProcessor.from_pretrained(directory)
        return
    notices = open_checkpoint(directory).notices
    if places:
        assert ours(directory) == theirs(directory)
        assert notices == ()
    else:  # what has room for a clip is what its folder is asked with here, as when it was saved
        assert ours(directory) == "tokenizer" + theirs(directory)
        assert "which transformers' processor does not read" in notices[0]


UNFIT = {
    "of a text model": (TEXT_MODELS, True),
    "with parts as Python writes them": (
        "{% for m in messages %}{{ m['content'] }}{% endfor %}",
        True,
    ),
    "without the text": ("{{ '<|AUDIO|>' }}", True),
    "with a clip too many": ("{{ '<|AUDIO|>' }}" + MINI_TEMPLATE, True),
    "that refuses parts": ("{{ raise_exception('text only') }}", True),
    "not valid": ("{% if x", True),
    "with other names": ([{"name": "tool_use", "template": "{{ 'tool' }}"}], False),
    "of 2024": (OF_2024, False),
    "none": (None, False),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_tokenizers_template_without_room_for_a_clip(name, directory):
    template, noticed = UNFIT[name]
    edit(directory / "tokenizer_config.json", chat_template=template)
    messages = [
        {"role": "system", "content": "Be brief."},
        *ASKED,
        {"role": "assistant", "content": "A dog."},
        user_message("And this?", clips=2),
    ]
    official = [
        {"role": "system", "content": "Be brief."},
        *AS_ON_THE_MODEL_CARD,
        {"role": "assistant", "content": "A dog."},
        user_message("And this?", clips=2),
    ]
    assert ours(directory) == theirs(directory)
    assert ours(directory, messages) == theirs(directory, official)
    notices = open_checkpoint(directory).notices
    assert len(notices) == noticed
    assert not noticed or "the processor's default is used" in notices[0]


def test_a_template_of_2024_knows_clips_by_their_url(directory):
    """Also in training, whose dialogues name clips by their type alone."""
    put(directory, "chat_template.json", OF_2024)
    assert ours(directory) == theirs(directory)
    chat_format = open_checkpoint(directory).chat_format
    told = [*ASKED, {"role": "assistant", "content": "A dog."}]
    assert chat_format.dialogue(told, [3]).input_ids.count(3) == 3
    assert open_checkpoint(directory).notices == ()
    reply = AudioChat.from_pretrained(directory).ask(
        np.full(16_000, 0.1, np.float32), "What is this?", sample_rate=16_000, max_new_tokens=2
    )
    assert reply.prompt == theirs(directory)


@pytest.mark.parametrize("template", [None, TEXT_MODELS], ids=["none", "of a text model"])
@pytest.mark.parametrize(("stop", "base"), [(0, True), ([0], True), ([2, 0], False), (2, False)])
def test_a_base_model_is_asked_in_plain_text(stop, base, template, directory):
    edit(directory / "tokenizer_config.json", chat_template=template)
    edit(directory / "generation_config.json", eos_token_id=stop)
    assert ours(directory) == (PLAIN if base else theirs(directory))
    notices = open_checkpoint(directory).notices
    assert any("base model" in notice for notice in notices) == base


def test_a_base_model_is_told_by_its_own_file_alone(directory):
    (directory / "generation_config.json").unlink()
    edit(directory / "config.json", eos_token_id=0)
    assert ours(directory) == theirs(directory)


@pytest.mark.parametrize("place", ["chat_template.jinja", "chat_template.json"])
def test_a_base_model_with_a_template_is_asked_with_it(place, directory):
    edit(directory / "generation_config.json", eos_token_id=0)
    put(directory, place, "{{ 'own' }}" + MINI_TEMPLATE)
    assert ours(directory) == theirs(directory)
    assert open_checkpoint(directory).notices == ()


def test_the_choice_is_told_once_in_a_dialogue(directory):
    edit(directory / "tokenizer_config.json", chat_template=TEXT_MODELS)
    chat = AudioChat.from_pretrained(directory)

    def told(chat: AudioChat) -> bool:
        return set(chat.checkpoint.notices) <= set(chat.ask(text="Hello", max_new_tokens=2).notices)

    assert chat.checkpoint.notices
    assert [told(chat), told(chat), told(chat.fork())] == [True, False, True]


@pytest.mark.parametrize("name", ["processor_config.json", "chat_template.json"])
def test_a_template_that_is_no_text_is_refused_by_file(name, directory):
    (directory / name).write_text('{"chat_template": 5}', "utf-8")
    with pytest.raises(CheckpointError, match=f"{name}: chat_template is no text"):
        ours(directory)


@pytest.fixture
def transformers_log():
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger = logging.getLogger("transformers")
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def test_a_template_of_its_own_is_saved_where_transformers_reads_it(
    tiny_model, tokenizer, tmp_path, transformers_log
):
    template = "{{ 'Ünser: ' }}" + MINI_TEMPLATE
    target = save_checkpoint(
        tiny_model,
        tmp_path / "saved",
        chat_format=ChatFormat(tokenizer, template, audio_token_id=3),
    )
    assert theirs(target) == ours(target)
    assert theirs(target).startswith("Ünser: <|im_start|>system")
    assert transformers_log == []
    assert open_checkpoint(target).chat_format.template == template


def test_the_default_needs_no_file_of_its_own(tiny_checkpoint):
    assert not list(tiny_checkpoint.glob("chat_template.*"))
    assert theirs(tiny_checkpoint) == ours(tiny_checkpoint)


@pytest.mark.parametrize("own_settings", [True, False])
def test_a_base_model_stays_one_when_it_is_saved(own_settings, directory, tmp_path):
    edit(directory / "generation_config.json", eos_token_id=0)
    checkpoint = open_checkpoint(directory)
    target = save_checkpoint(
        checkpoint.load_model(),
        tmp_path / "again",
        chat_format=checkpoint.chat_format,
        generation_config=checkpoint.generation_config if own_settings else None,
    )
    assert ours(target) == PLAIN
    assert open_checkpoint(target).notices == checkpoint.notices
