"""Where settings come from: stop tokens, lengths and precision that the files of a checkpoint leave open or repeat."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig, Qwen2AudioForConditionalGeneration

from parity.oracle import random_model
from q2a_core import AudioChat, presets
from q2a_core.checkpoint import open_checkpoint, save_checkpoint

QUESTION = "What is this sound?"
ABSENT = object()


@pytest.fixture(scope="module")
def chat_of(chat_format, tmp_path_factory) -> Path:
    model = random_model(presets.tiny(vocab_size=448), 5)
    return save_checkpoint(
        model, tmp_path_factory.mktemp("settings") / "a", chat_format=chat_format
    )


@pytest.fixture
def directory(chat_of, tmp_path) -> Path:
    """A checkpoint of random weights, to be changed."""
    return Path(shutil.copytree(chat_of, tmp_path / "copy"))


def edit(path: Path, **entries: object) -> None:
    values = json.loads(path.read_text("utf-8")) | entries
    values = {key: value for key, value in values.items() if value is not ABSENT}
    path.write_text(json.dumps(values), "utf-8")


def both_replies(directory: Path, **options: int) -> tuple[list[int], list[int]]:
    """Our reply and transformers', to the same prompt of text alone, under the settings in the files."""
    chat = AudioChat.from_pretrained(directory)
    prompt = chat.prompt(text=QUESTION)
    theirs = Qwen2AudioForConditionalGeneration.from_pretrained(directory).eval()
    ids = torch.tensor([prompt.ids])
    found = theirs.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, **options)
    return chat.ask(text=QUESTION, **options).token_ids, found[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("place", ["top", "text_config", "both"])
@pytest.mark.parametrize("file", ["absent", "without", "null", "with"])
def test_where_a_reply_stops(file, place, directory):
    """Transformers asks config.json only where there is no generation_config.json at all."""
    path, config = directory / "generation_config.json", directory / "config.json"
    edit(path, eos_token_id=None)
    free, _ = both_replies(directory, max_new_tokens=8)
    assert len(set(free)) > 4
    stop = free[4]
    text = json.loads(config.read_text("utf-8"))["text_config"]
    if place != "text_config":
        edit(config, eos_token_id=stop)
    if place != "top":
        edit(config, text_config=text | {"eos_token_id": stop if place != "both" else free[1]})
    if file == "absent":
        path.unlink()
    else:
        edit(path, eos_token_id={"without": ABSENT, "null": None, "with": [stop]}[file])
    ours, theirs = both_replies(directory, max_new_tokens=8)
    assert ours == (theirs[:-1] if theirs[-1] == stop else theirs)
    assert (len(ours) < 8) == (file in ("absent", "with"))


@pytest.mark.parametrize(
    "values",
    [{"max_length": 70}, {"max_length": 70, "max_new_tokens": 5}, {"max_new_tokens": 5}],
    ids=str,
)
@pytest.mark.parametrize("eos", [None, [2, 0]], ids=str)
def test_a_checkpoint_saved_again_decodes_as_before(values, eos, directory, chat_format, tmp_path):
    path = directory / "generation_config.json"
    path.write_text(json.dumps(values | {"eos_token_id": eos}), "utf-8")
    opened = open_checkpoint(directory)
    again = save_checkpoint(
        opened.load_model(),
        tmp_path / "again",
        chat_format=chat_format,
        generation_config=opened.generation_config,
        dtype=torch.float32,
    )
    before, after = (GenerationConfig.from_pretrained(place) for place in (directory, again))
    for name in ("max_length", "max_new_tokens", "eos_token_id"):
        assert getattr(after, name) == getattr(before, name), name
    assert AudioChat.from_pretrained(again).ask(text=QUESTION).token_ids == (
        AudioChat.from_pretrained(directory).ask(text=QUESTION).token_ids
    )


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("entry", [{}, {"dtype": "float32"}, {"torch_dtype": "bfloat16"}], ids=str)
def test_the_precision_of_the_file_counts_where_the_config_names_none(entry, stored, directory):
    edit(directory / "config.json", torch_dtype=ABSENT)
    edit(directory / "config.json", **entry)
    weights = directory / "model.safetensors"
    state = {key: value.to(stored) for key, value in load_file(weights).items()}
    save_file(state, weights, metadata={"format": "pt"})
    theirs = Qwen2AudioForConditionalGeneration.from_pretrained(directory)
    assert open_checkpoint(directory).dtype == theirs.dtype
    assert open_checkpoint(directory).load_model().projector.linear.weight.dtype == theirs.dtype


def test_a_file_of_several_precisions_is_computed_in_single(directory):
    edit(directory / "config.json", torch_dtype=ABSENT)
    weights = directory / "model.safetensors"
    state = load_file(weights)
    first = min(state)
    save_file(state | {first: state[first].float()}, weights, metadata={"format": "pt"})
    assert open_checkpoint(directory).dtype == torch.float32
