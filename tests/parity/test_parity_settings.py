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
from q2a_core.inference import GenerationSettings, generate
from q2a_core.inference.sampling import unsupported_settings

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


def both_replies(directory: Path, **options: object) -> tuple[list[int], list[int]]:
    """Our reply and transformers', to the same prompt of text alone, under the settings in the files."""
    chat = AudioChat.from_pretrained(directory)
    prompt = chat.prompt(text=QUESTION)
    theirs = Qwen2AudioForConditionalGeneration.from_pretrained(directory).eval()
    ids = torch.tensor([prompt.ids])
    found = theirs.generate(ids, attention_mask=torch.ones_like(ids), **options)
    return chat.ask(text=QUESTION, **options).token_ids, found[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("place", ["top", "text_config", "both"])
def test_without_a_generation_config_config_json_says_how_to_decode(place, directory):
    edit(directory / "generation_config.json", eos_token_id=None, max_new_tokens=9)
    free, _ = both_replies(directory)
    says = {"repetition_penalty": 1.5, "max_new_tokens": 9, "num_beams": 1, "suppress_tokens": []}
    config = directory / "config.json"
    text = json.loads(config.read_text("utf-8"))["text_config"]
    if place != "top":
        other = {"repetition_penalty": 0.7} if place == "both" else {}
        edit(config, text_config=text | says | other)
    if place != "text_config":
        edit(config, **says)
    assert both_replies(directory)[0] == free, "the file goes before it"
    (directory / "generation_config.json").unlink()
    ours, theirs = both_replies(directory)
    assert ours == theirs != free
    assert set(open_checkpoint(directory).generation_config) == {
        *("eos_token_id", "pad_token_id", "max_new_tokens", "num_beams"),
        *("repetition_penalty", "suppress_tokens"),
    }
    edit(config, no_repeat_ngram_size=3)
    reply = AudioChat.from_pretrained(directory).ask(text=QUESTION)
    assert any("no_repeat_ngram_size=3" in notice for notice in reply.notices)


def test_what_changes_transformers_reply_is_obeyed_or_named(directory):
    """One setting at a time, each strong enough to change the reply if it does anything."""
    edit(directory / "generation_config.json", eos_token_id=None, max_new_tokens=ABSENT)
    chat = AudioChat.from_pretrained(directory)
    theirs = Qwen2AudioForConditionalGeneration.from_pretrained(directory).eval()
    half = torch.randperm(444, generator=torch.Generator().manual_seed(0))[None, :222]
    ids = half + 4  # half of all tokens, so that some of the reply have been seen

    def both(**values: object) -> tuple[list[int], list[int]]:
        values = {"max_new_tokens": 12, "pad_token_id": 0} | values
        found = theirs.generate(
            ids, attention_mask=torch.ones_like(ids), generation_config=GenerationConfig(**values)
        )
        settings = GenerationSettings.from_generation_config(values, prompt_length=ids.shape[1])
        [ours] = generate(chat.model, ids, settings=settings).token_ids
        reply = found[0, ids.shape[1] :].tolist()
        return ours, reply[:-1] if reply[-1] in settings.stop_ids else reply

    free, _ = both()
    stop, first = free[6], free[0]
    obeyed = [
        {"repetition_penalty": 1.5},
        {"eos_token_id": stop},
        {"eos_token_id": [stop, 447], "min_new_tokens": 9},
        {"max_new_tokens": 5},
        {"max_new_tokens": None, "max_length": ids.shape[1] + 5},
        {"do_sample": True, "top_k": 1, "repetition_penalty": 1.5},
    ]
    named = [
        {"no_repeat_ngram_size": 1},
        {"encoder_no_repeat_ngram_size": 1},
        {"bad_words_ids": [[first]]},
        {"suppress_tokens": [first]},
        {"begin_suppress_tokens": [first]},
        {"sequence_bias": [[[first], -100.0]]},
        {"forced_eos_token_id": 5},
        {"eos_token_id": stop, "min_length": ids.shape[1] + 9},
        {"eos_token_id": stop, "exponential_decay_length_penalty": [1, 9.0]},
        {"num_beams": 4},
        {"guidance_scale": 5.0},
    ]
    for values in (*obeyed, *named):
        ours, reply = both(**values)
        told = unsupported_settings(values)
        assert ours == reply or told, values
        assert bool(told) == (values in named)
        assert reply != free or "num_beams" in values, "it did nothing"


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
