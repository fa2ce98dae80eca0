"""A placeholder under another name, and tokens around every text: the ids that transformers gives a whole prompt."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoProcessor

from q2a_core.checkpoint import open_checkpoint, save_checkpoint
from q2a_core.errors import ChatError, CheckpointError
from q2a_core.lengths import tokens_of_samples
from q2a_core.text import user_message
from q2a_core.text.chat import MINI_TEMPLATE

ASKED = [user_message("Which is louder?", clips=2)]
CLIPS = [np.full(length, 0.1, np.float32) for length in (9_000, 20_000)]
COUNTS = [tokens_of_samples(len(clip)) for clip in CLIPS]


@pytest.fixture
def directory(tiny_checkpoint, tmp_path) -> Path:
    return shutil.copytree(tiny_checkpoint, tmp_path / "foreign")


def edit(path: Path, **entries: object) -> None:
    values = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    values = {name: value for name, value in (values | entries).items() if value is not None}
    path.write_text(json.dumps(values), "utf-8")


def their_ids(directory: Path) -> list[int]:
    processor = AutoProcessor.from_pretrained(directory)
    text = processor.apply_chat_template(ASKED, add_generation_prompt=True, tokenize=False)
    return processor(text=text, audio=CLIPS, sampling_rate=16_000)["input_ids"][0]


def rename(directory: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        path = directory / name
        path.write_text(path.read_text("utf-8").replace("<|AUDIO|>", "<audio>"), "utf-8")


@pytest.mark.parametrize("place", ["tokenizer_config.json", "processor_config.json"])
def test_the_placeholder_under_another_name(place, directory, tmp_path):
    rename(directory)
    edit(directory / "tokenizer_config.json", audio_token=None, chat_template=None)
    edit(directory / place, audio_token="<audio>")
    template = MINI_TEMPLATE.replace("<|AUDIO|>", "<audio>")
    (directory / "chat_template.jinja").write_text(template, "utf-8")
    checkpoint = open_checkpoint(directory)
    assert checkpoint.chat_format.audio_token == "<audio>"
    assert checkpoint.chat_format.prompt_ids(ASKED, COUNTS) == their_ids(directory)
    with pytest.raises(ChatError, match="2 <audio> placeholders for 1 clips"):
        checkpoint.chat_format.prompt_ids(ASKED, [4])
    saved = save_checkpoint(
        checkpoint.load_model(), tmp_path / "saved", chat_format=checkpoint.chat_format
    )
    again = open_checkpoint(saved).chat_format.prompt_ids(ASKED, COUNTS)
    assert again == their_ids(saved) == their_ids(directory)


def test_a_tokenizers_template_with_the_other_name(directory):
    rename(directory)
    chat_format = open_checkpoint(directory).chat_format
    assert chat_format.prompt_ids(ASKED, COUNTS).count(3) == sum(COUNTS)


def test_plain_text_with_the_other_name(directory):
    rename(directory)
    edit(directory / "tokenizer_config.json", chat_template=None)
    edit(directory / "generation_config.json", eos_token_id=0)
    chat_format = open_checkpoint(directory).chat_format
    assert chat_format.render(ASKED).startswith("<|audio_bos|><audio><|audio_eos|>")


def test_a_name_that_is_told_nowhere_is_asked_for(directory):
    rename(directory)
    edit(directory / "tokenizer_config.json", audio_token=None)
    assert AutoProcessor.from_pretrained(directory).audio_token_id is None
    with pytest.raises(CheckpointError, match=r"<\|AUDIO\|> has id None .* as audio_token in"):
        open_checkpoint(directory).chat_format  # noqa: B018 - read when asked for


def test_tokens_around_every_text_are_refused(directory):
    end = {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}
    token, text = (
        {"SpecialToken": {"id": end["id"], "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
    )
    ours = open_checkpoint(directory).chat_format.prompt_ids(ASKED, COUNTS)
    edit(
        directory / "tokenizer.json",
        post_processor={
            "type": "TemplateProcessing",
            "single": [token, text],
            "pair": [token, text, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {end["id"]: end},
        },
    )
    assert their_ids(directory) == [0, *ours]
    with pytest.raises(
        CheckpointError, match=r"tokenizer\.json adds <\|endoftext\|> to every text"
    ):
        open_checkpoint(directory).chat_format  # noqa: B018 - read when asked for


def test_a_post_processor_that_adds_nothing_is_no_hindrance(directory):
    """Qwen's own file has one, which only moves offsets."""
    byte_level = {"add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    edit(directory / "tokenizer.json", post_processor={"type": "ByteLevel", **byte_level})
    chat_format = open_checkpoint(directory).chat_format
    assert chat_format.prompt_ids(ASKED, COUNTS) == their_ids(directory)
