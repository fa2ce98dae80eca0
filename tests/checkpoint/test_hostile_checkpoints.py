"""Checkpoints that are damaged, foreign or malicious: each gives one sentence that names the file, and runs nothing."""

import json
import os
import pickle
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from q2a_core import AudioChat, Qwen2Audio
from q2a_core.checkpoint import open_checkpoint, resolve_source
from q2a_core.errors import BackendError, CheckpointError, Q2AError
from q2a_core.text.tokenizer_training import train_tokenizer

Damage = Callable[[Path], object]


@pytest.fixture
def directory(tiny_checkpoint, tmp_path) -> Path:
    """A good checkpoint, to be damaged."""
    copy = tmp_path / "victim"
    shutil.copytree(tiny_checkpoint, copy)
    return copy


def use(directory: Path) -> None:
    """Everything that a user's first question reads."""
    clip = np.zeros(16_000, dtype=np.float32) + 0.1
    AudioChat.from_pretrained(directory).ask(clip, "Hi", sample_rate=16_000)


def assert_one_sentence(directory: Path, message: str) -> None:
    with pytest.raises(Q2AError, match=message) as caught:
        use(directory)
    text = str(caught.value)
    assert "\n" not in text
    assert 20 < len(text) < 400


def test_the_undamaged_copy_works(directory):
    use(directory)


def weights(directory: Path) -> Path:
    return directory / "model.safetensors"


def safetensors(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    """A safetensors file from its parts; `length` lies about the header's size."""
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content) if length is None else length) + content + data


def tensor(start: int, stop: int, *, shape: list[int] | None = None, dtype: str = "F32") -> dict:
    shape = [(stop - start) // 4] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def safetensors_files(good: bytes) -> dict[str, bytes]:
    entry = json.dumps(tensor(0, 8)).encode()
    return {
        "empty": b"",
        "cut in the length": good[:5],
        "cut in the header": good[:100],
        "cut in the data": good[:-10],
        "extra bytes": good + b"\0" * 10,
        "header of 2^63 bytes": safetensors(b"{}", length=2**63),
        "header of 101 MB": safetensors(b"{}", length=101_000_000),
        "header beyond the file": safetensors(b"{}", length=50),
        "header is not UTF-8": safetensors(b'{"\xff\xfe": 1}'),
        "header is not JSON": safetensors(b"{'a': 1}"),
        "header is a list": safetensors([]),
        "deep header": safetensors(b"[" * 5000 + b"]" * 5000),
        "overlapping tensors": safetensors({"a": tensor(0, 8), "b": tensor(4, 12)}, b"\0" * 12),
        "a hole between tensors": safetensors({"a": tensor(0, 8), "b": tensor(12, 16)}, b"\0" * 16),
        "negative offset": safetensors({"a": tensor(-4, 4, shape=[2])}, b"\0" * 8),
        "reversed offsets": safetensors({"a": tensor(8, 0, shape=[2])}, b"\0" * 8),
        "offset beyond the file": safetensors({"a": tensor(0, 800)}, b"\0" * 8),
        "overflowing shape": safetensors({"a": tensor(0, 8, shape=[2**40, 2**40])}, b"\0" * 8),
        "shape and size differ": safetensors({"a": tensor(0, 8, shape=[3])}, b"\0" * 8),
        "duplicate key": safetensors(b'{"a":' + entry + b',"a":' + entry + b"}", b"\0" * 8),
        "unknown dtype": safetensors({"a": tensor(0, 8, dtype="F7")}, b"\0" * 8),
        "metadata is a number": safetensors({"__metadata__": 3}),
        "a web page": b"<!DOCTYPE html><html><body>404</body></html>" * 10,
    }


SAFETENSORS = list(safetensors_files(b""))


@pytest.mark.parametrize("name", SAFETENSORS)
def test_damaged_safetensors(name, directory):
    path = weights(directory)
    path.write_bytes(safetensors_files(path.read_bytes())[name])
    assert_one_sentence(directory, r"model\.safetensors is damaged|the weights do not fit")


def change_weights(directory: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    state = load_file(weights(directory))
    change(state)
    save_file(state, weights(directory), metadata={"format": "pt"})


HEAD = "language_model.lm_head.weight"
BIAS = "multi_modal_projector.linear.bias"

TENSORS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
    "missing": (lambda s: s.pop(BIAS), f"1 missing \\({BIAS}\\)"),
    "several missing": (lambda s: [s.pop(k) for k in list(s)[:9]], r"9 missing \(.*, \.\.\.\)"),
    "all missing": (lambda s: [s.pop(k) for k in list(s)], "missing"),
    "extra": (lambda s: s.update(extra=s[BIAS].clone()), r"1 unknown \(extra\)"),
    "a layer too many": (
        lambda s: s.update({"language_model.model.layers.9.mlp.up_proj.weight": s[HEAD].clone()}),
        "1 unknown",
    ),
    "renamed": (lambda s: s.update(other=s.pop(BIAS)), "1 missing.*; 1 unknown"),
    "transposed": (
        lambda s: s.update({HEAD: s[HEAD].T.contiguous()}),
        rf"{HEAD} has shape \(32, 448\); config\.json asks for \(448, 32\)",
    ),
    "cut": (lambda s: s.update({BIAS: s[BIAS][:-1].clone()}), r"has shape \(31,\)"),
    "a scalar": (lambda s: s.update({BIAS: torch.tensor(1.0)}), r"has shape \(\)"),
    "whole numbers": (lambda s: s.update({BIAS: s[BIAS].long()}), "expected floating-point"),
    "truth values": (lambda s: s.update({BIAS: s[BIAS].bool()}), "expected floating-point"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_that_do_not_fit_the_config(name, directory):
    change, message = TENSORS[name]
    change_weights(directory, change)
    assert_one_sentence(directory, message)


def text(name: str, content: str | bytes) -> Damage:
    content = content.encode() if isinstance(content, str) else content
    return lambda directory: (directory / name).write_bytes(content)


def entries(name: str, **values: object) -> Damage:
    def edit(directory: Path) -> None:
        path = directory / name
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")

    return edit


def without(name: str) -> Damage:
    return lambda directory: (directory / name).unlink()


def as_folder(name: str) -> Damage:
    def replace(directory: Path) -> None:
        (directory / name).unlink()
        (directory / name).mkdir()

    return replace


def as_lost_link(name: str) -> Damage:
    def replace(directory: Path) -> None:
        (directory / name).unlink()
        (directory / name).symlink_to("../../blobs/gone")

    return replace


def index(content: object) -> Damage:
    """Shards instead of one file: shard-1 holds everything, the index is `content`."""

    def replace(directory: Path) -> None:
        weights(directory).rename(directory / "shard-1.safetensors")
        written = content if isinstance(content, bytes) else json.dumps(content).encode()
        (directory / "model.safetensors.index.json").write_bytes(written)

    return replace


def larger_tokenizer(directory: Path) -> None:
    text = [chr(n) * 3 for n in range(300, 1500)]
    content = train_tokenizer(text, vocab_size=900).to_json()
    (directory / "tokenizer.json").write_text(content, "utf-8")


def tokenizer_without_the_placeholder(directory: Path) -> None:
    path = directory / "tokenizer.json"
    path.write_text(path.read_text("utf-8").replace("<|AUDIO|>", "<|SOUND|>"), "utf-8")


def vocab_and_merges(directory: Path, *, tokenizer_class: str | None = None) -> None:
    """The older layout without the file that names special tokens, or with one that asks for a class."""
    path = directory / "tokenizer.json"
    model = json.loads(path.read_text("utf-8"))["model"]
    path.unlink()
    (directory / "vocab.json").write_text(json.dumps(model["vocab"]), "utf-8")
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    (directory / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), "utf-8")
    (directory / "tokenizer_config.json").unlink()
    if tokenizer_class:
        text("tokenizer_config.json", json.dumps({"tokenizer_class": tokenizer_class}))(directory)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
LAID_OUT = (
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"),
    *("preprocessor_config.json", "model.safetensors"),
)
"""Files that a checkpoint is asked with; without some of them it answers, but otherwise."""

DAMAGE: dict[str, tuple[Damage, str]] = {
    "no config": (without("config.json"), r"victim has no config\.json"),
    "empty config": (text("config.json", ""), r"config\.json cannot be read as JSON"),
    "config cut": (text("config.json", '{"model_type": "qwen2_au'), r"config\.json cannot be read"),
    "config is a list": (text("config.json", "[]"), r"config\.json holds a list"),
    "config is binary": (text("config.json", b"\xff\xd8\xff\xe0"), r"config\.json cannot be read"),
    "config is deep": (text("config.json", '{"a":' * 100_000), r"config\.json cannot be read"),
    "another model": (entries("config.json", model_type="whisper"), "model_type 'whisper'"),
    "another precision": (
        entries("config.json", dtype="float8_e4m3fn"),
        "says dtype 'float8_e4m3fn'",
    ),
    "another width": (
        entries("config.json", text_config={"hidden_size": 64, "vocab_size": 448}),
        r"has shape|of two checkpoints|the weights do not fit",
    ),
    "generation config cut": (
        text("generation_config.json", '{"a'),
        "generation_config.json cannot",
    ),
    "generation config is a list": (text("generation_config.json", "[1]"), "holds a list"),
    "stop token as text": (entries("generation_config.json", eos_token_id="end"), "eos_token_id"),
    "temperature as text": (
        entries("generation_config.json", do_sample=True, temperature="hot"),
        "temperature is 'hot'",
    ),
    "limit as text": (
        entries("generation_config.json", max_new_tokens="9"),
        "max_new_tokens is '9'",
    ),
    "negative limit": (
        entries("generation_config.json", max_new_tokens=-1),
        "max_new_tokens is -1",
    ),
    "length limit as text": (
        lambda d: (d / "generation_config.json").write_text('{"max_length": "long"}'),
        "max_length",
    ),
    "about cut": (text("about.json", '{"stage'), r"about\.json cannot be read"),
    "about is text": (text("about.json", '"mini"'), r"about\.json holds a str"),
    "no tokenizer": (without("tokenizer.json"), r"has no tokenizer\.json"),
    "tokenizer cut": (text("tokenizer.json", '{"version"'), r"tokenizer\.json cannot be read"),
    "tokenizer too large": (larger_tokenizer, r"\d+ entries, the model 448.*two checkpoints"),
    "tokenizer without the placeholder": (tokenizer_without_the_placeholder, "AUDIO.* has id 400"),
    "placeholder of another id": (entries("config.json", audio_token_index=7), "AUDIO.* has id 3"),
    "tokenizer config cut": (text("tokenizer_config.json", "{"), r"tokenizer_config\.json cannot"),
    "template is binary": (
        text("chat_template.jinja", b"\xff\xfe{{"),
        r"chat_template\.jinja cannot",
    ),
    "template is a number": (entries("tokenizer_config.json", chat_template=5), "chat_template"),
    "template list of nothing": (
        entries("tokenizer_config.json", chat_template=[1]),
        "chat_template",
    ),
    "template attacks": (
        text("chat_template.jinja", "{{ cycler.__init__.__globals__.os.system('touch MARKER') }}"),
        "chat template cannot render",
    ),
    "template not closed": (text("chat_template.jinja", "{% if x"), "not valid Jinja"),
    "no weights": (without("model.safetensors"), "has no weights"),
    "weights of another name": (
        lambda d: weights(d).rename(d / "model.fp16.safetensors"),
        r"has no weights.*found model\.fp16\.safetensors, expected model\.safetensors",
    ),
    "shards without an index": (
        lambda d: (
            [shutil.copy(weights(d), d / f"model-{n:05}-of-00004.safetensors") for n in range(1, 5)]
            + [weights(d).unlink()]
        ),
        r"found model-00001-of-00004\.safetensors, .*, \.\.\., expected .* its shards",
    ),
    "vocabulary that names no special token": (
        vocab_and_merges,
        r"<\|AUDIO\|> in a text for several tokens; expected .*tokenizer_config\.json",
    ),
    "vocabulary for a class that reads none": (
        lambda d: vocab_and_merges(d, tokenizer_class="PreTrainedTokenizerFast"),
        r"vocab\.json and merges\.txt cannot be read",
    ),
    "index cut": (index(b'{"weight_map": {"a"'), "cannot be read as a shard index"),
    "index is deep": (index(b'{"a":' * 100_000), "cannot be read as a shard index"),
    "index is binary": (index(b"\xff\xfe"), "cannot be read as a shard index"),
    "index is a list": (index([]), "cannot be read as a shard index"),
    "index without a map": (index({"metadata": {}}), "cannot be read as a shard index"),
    "map is a list": (index({"weight_map": ["a"]}), "cannot be read as a shard index"),
    "map of lists": (index({"weight_map": {"a": ["b"]}}), "cannot be read as a shard index"),
    "map of numbers": (index({"weight_map": {"a": 1}}), "names the shard 1"),
    "map is empty": (index({"weight_map": {}}), "missing"),
    "shard outside": (index({"weight_map": {"a": "../shard-1.safetensors"}}), "names the shard"),
    "absolute shard": (index({"weight_map": {"a": "/etc/shard.safetensors"}}), "names the shard"),
    "pickled shard": (index({"weight_map": {"a": "pytorch_model.bin"}}), "names the shard"),
    "missing shard": (
        index({"weight_map": {"a": "shard-1.safetensors", "b": "shard-2.safetensors"}}),
        r"shard shard-2\.safetensors is missing",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_directories(name, directory, monkeypatch):
    monkeypatch.chdir(directory.parent)
    damage, message = DAMAGE[name]
    damage(directory)
    assert_one_sentence(directory, message)
    assert not list(directory.parent.rglob("MARKER"))


@pytest.mark.parametrize("name", LAID_OUT)
def test_what_only_has_a_files_name_is_never_passed_over(name, directory):
    """A folder, a link of the hub's cache whose blob is gone, what a clone without git-lfs has."""
    good = (directory / name).read_bytes()
    as_folder(name)(directory)
    assert_one_sentence(directory, rf"{re.escape(name)} is a folder")
    (directory / name).rmdir()
    text(name, good)(directory)
    as_lost_link(name)(directory)
    assert_one_sentence(directory, rf"{re.escape(name)} is a link to .* not there \(.*gone\)")
    (directory / name).unlink()
    text(name, POINTER)(directory)
    assert_one_sentence(directory, rf"{re.escape(name)} is a pointer of Git LFS.*git lfs pull")


def test_a_shard_that_only_has_its_name(directory):
    index({"weight_map": {"a": "shard-1.safetensors"}})(directory)
    as_lost_link("shard-1.safetensors")(directory)
    assert_one_sentence(directory, r"shard-1\.safetensors is a link to .* not there")


def test_a_snapshot_of_the_hubs_cache_is_a_checkpoint_and_its_repository_names_it(directory):
    repository = directory.parent / "models--me--mine"
    snapshot, blobs = repository / "snapshots" / ("0" * 40), repository / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for path in (path for path in directory.iterdir() if path.is_file()):
        path.rename(blobs / path.name)
        (snapshot / path.name).symlink_to(Path("../../blobs") / path.name)
    use(snapshot)
    assert open_checkpoint(snapshot).name == "me/mine"
    assert_one_sentence(repository, f"one lies in it; give {re.escape(str(snapshot))}")


def test_the_folder_of_a_run_names_its_checkpoint(directory):
    run = directory.parent / "run"
    run.mkdir()
    directory.rename(run / "checkpoint")
    text("config.json", '{"name": "sft", "steps": 3}')(run)
    assert_one_sentence(run, f"one lies in it; give {re.escape(str(run / 'checkpoint'))}")


class Attack:
    """Pickles to a call of os.system that leaves a marker."""

    def __init__(self, marker: Path):
        self.command = f"echo pwned > {marker}"

    def __reduce__(self):
        return os.system, (self.command,)


def zipped_pickle(path: Path, attack: Attack) -> None:
    torch.save(attack, path)


def bare_pickle(path: Path, attack: Attack) -> None:
    path.write_bytes(pickle.dumps(attack))


@pytest.mark.parametrize("write", [zipped_pickle, bare_pickle], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "name",
    [
        "pytorch_model.bin",
        "model.pt",
        "model.pth",
        "model.safetensors",
        "tokenizer.json",
        "config.json",
        "generation_config.json",
        "chat_template.jinja",
        "model.safetensors.index.json",
    ],
)
def test_a_pickle_is_never_opened(name, write, directory, tmp_path):
    """Under any of the names that a checkpoint's files have; the marker would show that its code had run."""
    marker = tmp_path / "MARKER"
    weights(directory).unlink()
    write(directory / name, Attack(marker))
    assert_one_sentence(directory, ".")
    with pytest.raises(CheckpointError):
        Qwen2Audio.from_pretrained(directory)
    assert not marker.exists()


def test_the_attack_would_have_worked(tmp_path):
    marker = tmp_path / "MARKER"
    bare_pickle(tmp_path / "attack.pkl", Attack(marker))
    pickle.loads((tmp_path / "attack.pkl").read_bytes())
    assert marker.exists()


def test_pickled_weights_alone_are_named_as_such(directory):
    weights(directory).rename(directory / "pytorch_model.bin")
    assert_one_sentence(directory, "pickled weights only; pickles can run code")


@pytest.mark.parametrize(
    "source",
    [
        "no-such-name",
        "",
        "mini2",
        "./absent/directory",
        "a/b/c/d",
        "Org/name--with..dots",
        "x" * 5000,
        "nul\0byte",
        "~no-such-user/x/y",
        "http://127.0.0.1/model",
        "..",
        Path("absent"),
    ],
    ids=lambda source: str(source)[:20],
)
def test_names_that_are_nothing(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(source)
    assert "\n" not in str(caught.value)


def test_no_name_is_not_the_working_directory(directory, monkeypatch):
    monkeypatch.chdir(directory)
    assert open_checkpoint(".").directory == directory
    with pytest.raises(CheckpointError, match="no checkpoint ''"):
        open_checkpoint("")


def test_a_file_is_no_checkpoint(directory):
    with pytest.raises(CheckpointError, match="is a file; expected a checkpoint directory"):
        resolve_source(weights(directory))


def test_a_link_to_a_checkpoint_is_one(directory, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(directory, target_is_directory=True)
    use(link)


def test_a_folder_with_the_owners_name_hides_no_hub_id(directory, tmp_path, monkeypatch):
    asked: list[str] = []

    def download(repo_id: str, **_: object) -> str:
        asked.append(repo_id)
        return str(directory)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    (tmp_path / "Qwen").mkdir()
    assert resolve_source("Qwen/Qwen2-Audio-7B-Instruct") == directory
    assert asked == ["Qwen/Qwen2-Audio-7B-Instruct"]
    shutil.copytree(directory, tmp_path / "Qwen" / "Qwen2-Audio-7B-Instruct")
    found = resolve_source("Qwen/Qwen2-Audio-7B-Instruct")
    assert found.resolve() == tmp_path / "Qwen" / "Qwen2-Audio-7B-Instruct"
    assert len(asked) == 1


def test_a_slip_in_a_local_name_is_told_as_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "runs").mkdir()
    with pytest.raises(
        CheckpointError, match=r"runs/first is not in the hub's .* and no directory"
    ):
        resolve_source("runs/first")


@pytest.mark.parametrize("top", [True, False])
def test_a_head_that_is_missing_names_the_flag_that_ties_it(top, directory):
    entries("config.json", tie_word_embeddings=top)(directory)
    change_weights(directory, lambda s: s.pop(HEAD))
    assert_one_sentence(
        directory, rf"1 missing \({HEAD}\); .*text_config\.tie_word_embeddings: true in config"
    )


@pytest.mark.parametrize("key", ["eos_token_id", "pad_token_id"])
def test_a_stop_token_that_is_null_at_the_top_is_looked_for_below(key, directory):
    config = json.loads((directory / "config.json").read_text("utf-8"))
    text_config = config["text_config"] | {key: 2}
    (directory / "generation_config.json").unlink()
    for value, expected in ((None, 2), (0, 0)):
        entries("config.json", **{key: value}, text_config=text_config)(directory)
        assert open_checkpoint(directory).generation_config[key] == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_device_that_is_not_there(directory):
    with pytest.raises(BackendError, match="'cuda' was asked for, but this machine has none"):
        AudioChat.from_pretrained(directory, device="cuda")


@pytest.mark.parametrize("device", ["gpu", "", "cpu:x", "meta"], ids=repr)
def test_devices_nobody_has(device, directory):
    with pytest.raises(BackendError, match="device"):
        open_checkpoint(directory).load_model(device=device)


def test_a_bad_word_in_half_precision_is_found_before_the_weights_are_read(directory):
    weights(directory).write_bytes(b"")
    with pytest.raises(CheckpointError, match="unknown dtype 'half'"):
        open_checkpoint(directory).load_model(dtype="half")


def test_old_rotary_tables_are_ignored(directory):
    """Older versions stored them; everybody computes them."""
    key = "language_model.model.layers.0.self_attn.rotary_emb.inv_freq"
    change_weights(directory, lambda s: s.update({key: torch.ones(4)}))
    use(directory)


def test_an_about_file_with_nonsense_is_no_hindrance(directory):
    (directory / "about.json").write_text('{"trained_seconds": "ten"}')
    use(directory)
