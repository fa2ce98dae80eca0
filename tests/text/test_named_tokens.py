"""Tokens that files beside tokenizer.json name: damaged files are one sentence, ids that would differ are refused."""

import json
from pathlib import Path

import pytest

from q2a_core.errors import CheckpointError
from q2a_core.text import Tokenizer

CONFIG = "tokenizer_config.json"


@pytest.fixture
def directory(tokenizer, tmp_path) -> Path:
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_json(), "utf-8")
    return tmp_path


def write(directory: Path, name: str, content: object) -> None:
    (directory / name).write_text(json.dumps(content), "utf-8")


def test_nothing_is_added_where_everything_is_there(directory, tokenizer):
    names = ["<|im_start|>", "<|en|>"]
    write(
        directory, CONFIG, {"additional_special_tokens": names, "eos_token": "<|im_end|>", "add": 1}
    )
    write(directory, "added_tokens.json", {"<|AUDIO|>": 3})
    opened = Tokenizer.from_directory(directory)
    assert opened.to_json() == tokenizer.to_json()
    assert opened.special_tokens_map == {"eos_token": "<|im_end|>"}


def test_without_a_config_the_roles_are_the_mini_models(directory, tokenizer):
    opened = Tokenizer.from_directory(directory)
    assert opened.special_tokens_map == tokenizer.special_tokens_map
    assert opened.special_tokens_map["pad_token"] == "<|endoftext|>"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (CONFIG, {"added_tokens_decoder": {"5000": {"content": "<|task|>"}}}),
        (CONFIG, {"added_tokens_decoder": {"7": {"content": "<|im_end|>"}}}),
        ("added_tokens.json", {"<|task|>": 5000}),
    ],
    ids=str,
)
def test_a_token_that_would_get_another_id_is_refused_by_name(name, content, directory):
    write(directory, name, content)
    with pytest.raises(CheckpointError, match=r"token '<.(task|im_end).>' has id \d+ .*, \d+ in"):
        Tokenizer.from_directory(directory)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (CONFIG, {"added_tokens_decoder": ["<|task|>"]}),
        (CONFIG, {"added_tokens_decoder": {"first": {"content": "a"}}}),
        (CONFIG, {"added_tokens_decoder": {"9" * 5000: {"content": "a"}}}),
        (CONFIG, {"added_tokens_decoder": {"5": {"text": "a"}}}),
        (CONFIG, {"added_tokens_decoder": {"5": 5}}),
        (CONFIG, {"additional_special_tokens": "<|task|>"}),
        (CONFIG, {"extra_special_tokens": [5]}),
        (CONFIG, {"eos_token": {"id": 5}}),
        ("added_tokens.json", {"<|task|>": "five"}),
        ("special_tokens_map.json", {"additional_special_tokens": [None]}),
    ],
    ids=lambda value: str(value)[:50],
)
def test_damaged_files_are_one_sentence(name, content, directory):
    write(directory, name, content)
    with pytest.raises(CheckpointError, match="expected") as caught:
        Tokenizer.from_directory(directory)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
