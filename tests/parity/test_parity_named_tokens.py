"""Tokens and templates of foreign checkpoints: what transformers makes of the same files, token by token."""

import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest
import torch
from transformers import AutoProcessor, AutoTokenizer, Qwen2AudioForConditionalGeneration

from parity.oracle import random_model
from q2a_core import presets
from q2a_core.checkpoint import open_checkpoint, save_checkpoint
from q2a_core.errors import CheckpointError
from q2a_core.text import ChatFormat, Tokenizer
from q2a_core.text.chat import MINI_TEMPLATE
from q2a_core.text.special_tokens import TAG_TOKENS

NEW = "<|task|>"
FLAGS = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False}
MESSAGES = [
    {"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "你好 <a&b> 'c'"}]},
    {"role": "assistant", "content": "A dog."},
]


@pytest.fixture
def directory(tiny_checkpoint, tmp_path) -> Path:
    """A copy of a checkpoint whose model has more rows than its tokenizer has entries."""
    return shutil.copytree(tiny_checkpoint, tmp_path / "foreign")


def edit(path: Path, **entries: object) -> None:
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    values = {name: value for name, value in (known | entries).items() if value != "absent"}
    path.write_text(json.dumps(values), "utf-8")


def next_id(directory: Path) -> int:
    return len(AutoTokenizer.from_pretrained(directory))


def decoder(directory: Path, *tokens: str, **flags: bool) -> dict[str, dict]:
    first = next_id(directory)
    return {
        str(first + n): {"content": token, "special": True, **FLAGS, **flags}
        for n, token in reversed(list(enumerate(tokens)))
    }


def change_files(directory: Path, name: str) -> None:
    """Change the files beside tokenizer.json as checkpoints in the wild have them."""
    config = directory / "tokenizer_config.json"
    first = next_id(directory)
    if name == "added_tokens_decoder":
        edit(config, added_tokens_decoder=decoder(directory, NEW, "<|other|>"))
    elif name == "plain words in added_tokens_decoder":
        tokens = decoder(directory, "Zebra", "two words", special=False, normalized=True)
        edit(config, added_tokens_decoder=tokens)
    elif name == "strips its spaces":
        edit(config, added_tokens_decoder=decoder(directory, NEW, lstrip=True, rstrip=True))
    elif name == "additional_special_tokens":
        edit(config, additional_special_tokens=["<|im_start|>", NEW, "<|other|>"])
    elif name == "extra_special_tokens":
        edit(config, additional_special_tokens="absent", extra_special_tokens=["<|other|>", NEW])
    elif name == "extra_special_tokens with names":
        named = {"task_token": NEW}
        edit(config, additional_special_tokens="absent", extra_special_tokens=named)
    elif name == "added_tokens.json":
        edit(directory / "added_tokens.json", **{"<|other|>": first + 1, NEW: first})
    elif name == "special_tokens_map.json":
        token = {"content": NEW, **FLAGS}
        edit(directory / "special_tokens_map.json", unk_token=token, cls_token="<|other|>")
    elif name == "a role of a new token":
        edit(config, bos_token=NEW, unk_token={"__type": "AddedToken", "content": "<|other|>"})
    elif name == "a token of the vocabulary":
        edit(config, additional_special_tokens=["dog"], bos_token="barks")
    elif name == "Qwen2Tokenizer":
        edit(config, tokenizer_class="Qwen2Tokenizer", eos_token="absent", pad_token=None)


WAYS = (
    "added_tokens_decoder",
    "plain words in added_tokens_decoder",
    "strips its spaces",
    "additional_special_tokens",
    "extra_special_tokens",
    "extra_special_tokens with names",
    "added_tokens.json",
    "special_tokens_map.json",
    "a role of a new token",
    "a token of the vocabulary",
    "Qwen2Tokenizer",
)
TEXTS = (
    f"Hello {NEW} x<|other|>{NEW}",
    "<|im_start|>user\nthe Zebra has two words, Zebras",
    "a dog barks",
)


@pytest.mark.parametrize("way", WAYS)
def test_tokens_beside_tokenizer_json(way, directory):
    change_files(directory, way)
    theirs = AutoTokenizer.from_pretrained(directory)
    ours = open_checkpoint(directory).chat_format.tokenizer
    assert len(ours) == len(theirs)
    for text in TEXTS:
        ids = ours.encode(text)
        assert ids == theirs(text)["input_ids"]
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True)
    assert ours.special_tokens_map == theirs.special_tokens_map


def test_a_token_that_the_model_has_no_row_for_is_named(directory):
    names = [f"<|task {n}|>" for n in range(100)]
    edit(directory / "tokenizer_config.json", additional_special_tokens=names)
    with pytest.raises(CheckpointError, match=r"none for '<\|task \d+\|>'.*two checkpoints"):
        open_checkpoint(directory).chat_format  # noqa: B018 - read when asked for


TEMPLATES = {
    "roles": "{{ bos_token }}|{{ eos_token }}|{{ pad_token }}|{{ unk_token }}|{{ audio_token }}|",
    "a role that ends turns": "{{ messages[1].content + eos_token }}",
    "a role that is there": "{% if sep_token is defined %}{{ sep_token }}{% else %}none{% endif %}",
    "generation": "{% for m in messages %}{% if m.role == 'assistant' %}\n  {% generation %}\n"
    "{{ m.content }}{% set x = 1 %}\n  {% endgeneration %}\n{% endif %}{% endfor %}{{ x }}",
    "break and continue": "{% for n in range(9) %}{% if n == 2 %}{% continue %}{% endif %}"
    "{% if n == 5 %}{% break %}{% endif %}{{ n }}{% endfor %}",
    "tojson": "{{ messages | tojson }}{{ messages[0].content[1].text | tojson }}",
    "tojson with settings": "{{ messages | tojson(indent=2) }}{{ {'b': 1, 'a': 'ä'} | tojson(ensure_ascii=True, "
    "separators=(',', ':'), sort_keys=True) }}",
    "nothing else was given": "{{ tools is none }}{{ documents is none }}",
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_get_what_transformers_gives_them(name, directory):
    edit(directory / "tokenizer_config.json", bos_token="<|endoftext|>", chat_template="absent")
    (directory / "chat_template.jinja").write_text(TEMPLATES[name] + MINI_TEMPLATE, "utf-8")
    processor = AutoProcessor.from_pretrained(directory)
    ours = open_checkpoint(directory).chat_format.render(MESSAGES, add_generation_prompt=False)
    assert ours == processor.apply_chat_template(MESSAGES, tokenize=False)


def test_a_template_may_ask_for_the_day(directory):
    (directory / "chat_template.jinja").write_text("{{ strftime_now('%d %B %Y') }}", "utf-8")
    theirs = AutoProcessor.from_pretrained(directory)
    days = [datetime.now().strftime("%d %B %Y")]
    rendered = open_checkpoint(directory).chat_format.render(MESSAGES)
    days += [theirs.apply_chat_template(MESSAGES, tokenize=False)]
    assert rendered in days


@pytest.fixture(scope="module")
def foreign(tokenizer) -> ChatFormat:
    """A tokenizer without the mini world's tags, as Qwen's own has others."""
    values = json.loads(tokenizer.to_json())
    tags = set(TAG_TOKENS)
    values["added_tokens"] = [t for t in values["added_tokens"] if t["content"] not in tags]
    for tag in tags:  # the entries stay, as pieces of text that nothing is merged to
        values["model"]["vocab"][tag.replace("|", "!")] = values["model"]["vocab"].pop(tag)
    content = json.dumps(values).encode()
    roles = {"eos_token": "<|im_end|>", "bos_token": "<|endoftext|>", "pad_token": "<|nothing|>"}
    template = "{{ bos_token }}" + MINI_TEMPLATE
    return ChatFormat(
        Tokenizer.from_json(content, special_tokens_map=roles), template, audio_token_id=3
    )


def test_a_foreign_tokenizer_is_saved_with_no_token_that_it_lacks(foreign, tmp_path):
    """Each would be new to transformers, with an id beyond the model's vocabulary."""
    size = len(foreign.tokenizer)
    model = random_model(presets.tiny(vocab_size=size), 3)
    target = save_checkpoint(model, tmp_path / "saved", chat_format=foreign)
    processor = AutoProcessor.from_pretrained(target)
    theirs = Qwen2AudioForConditionalGeneration.from_pretrained(target)
    assert len(processor.tokenizer) == size
    text = "Detect the language: <|en|><|im_end|>"
    ids = foreign.tokenizer.encode(text)
    assert ids == processor.tokenizer(text)["input_ids"]
    assert max(ids) < size
    assert torch.isfinite(theirs(input_ids=torch.tensor([ids])).logits).all()
    again = open_checkpoint(target).chat_format
    roles = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    assert again.tokenizer.special_tokens_map == processor.tokenizer.special_tokens_map == roles
    assert again.tokenizer.to_json() == foreign.tokenizer.to_json()
    rendered = foreign.render(MESSAGES)
    assert rendered == again.render(MESSAGES)
    # the processor renders a template of its own unless it has a file of its own; the tokenizer reads ours
    assert rendered == processor.tokenizer.apply_chat_template(
        MESSAGES, add_generation_prompt=True, tokenize=False
    )
