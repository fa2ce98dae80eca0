"""Saving is whole or not at all: a fault at any point leaves a checkpoint that opens, the old one or the new."""

import errno
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from q2a_core import Qwen2Audio, presets
from q2a_core.checkpoint import checkpoint_hash, open_checkpoint, save_checkpoint
from q2a_core.checkpoint.source import set_aside
from q2a_core.errors import CheckpointError

FAULT_POINTS = (
    (Path, "mkdir"),
    (Path, "write_text"),
    (Path, "chmod"),
    (Path, "rename"),
    (os, "fsync"),
    (safetensors.torch, "save_file"),
)
"""Everything that saving asks of the disk."""


def model(seed: int) -> Qwen2Audio:
    fresh = Qwen2Audio(presets.tiny(vocab_size=448))
    fresh.init_weights(torch.Generator().manual_seed(seed))
    return fresh.half().float()


@pytest.fixture(scope="module")
def models() -> tuple[Qwen2Audio, Qwen2Audio]:
    return model(1), model(2)


def same_weights(first: Qwen2Audio, second: Qwen2Audio) -> bool:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def fail_at(monkeypatch: pytest.MonkeyPatch, step: int, error: Exception) -> list[str]:
    """Raise `error` at the `step`-th call of any fault point; returns the calls made, filled as they come."""
    calls: list[str] = []

    def watch(owner, name: str) -> None:
        original = getattr(owner, name)

        def guarded(*args, **options):
            calls.append(name)
            if len(calls) == step:
                raise error
            return original(*args, **options)

        monkeypatch.setattr(owner, name, guarded)

    for owner, name in FAULT_POINTS:
        watch(owner, name)
    return calls


def number_of_fault_points(models, chat_format, directory: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        calls = fail_at(patch, -1, OSError())
        save_checkpoint(models[0], directory, chat_format=chat_format)
        save_checkpoint(models[1], directory, chat_format=chat_format)
    assert set(calls) == {name for _, name in FAULT_POINTS}
    return len(calls) // 2 + 2


def leftovers(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("earlier", [False, True], ids=["first save", "later save"])
def test_a_full_disk_at_any_point(earlier, models, chat_format, tmp_path):
    """Every call that touches the disk fails once: the earlier checkpoint is whole, and nothing else is left."""
    old, new = models
    points = number_of_fault_points(models, chat_format, tmp_path / "trial")
    shutil.rmtree(tmp_path / "trial")
    target = tmp_path / "tiny"
    failed = 0
    for step in range(1, points + 1):
        shutil.rmtree(target, ignore_errors=True)
        if earlier:
            save_checkpoint(old, target, chat_format=chat_format)
        full = OSError(errno.ENOSPC, "No space left on device")
        with pytest.MonkeyPatch.context() as patch:
            calls = fail_at(patch, step, full)
            try:
                save_checkpoint(new, target, chat_format=chat_format)
                message = ""
            except CheckpointError as error:
                message = str(error)
        if message:
            assert "No space left" in message
            assert "the earlier one is untouched" in message
            failed += 1
        assert len(calls) >= min(step, points - 2)
        assert leftovers(tmp_path) == []
        if not earlier and step <= len(calls) and not target.exists():
            continue
        opened = Qwen2Audio.from_pretrained(target)
        assert same_weights(opened, old if earlier and step <= len(calls) else new)
    assert failed >= 12


def test_torchs_own_word_for_a_full_disk(models, chat_format, tmp_path, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("[enforce fail at inline_container.cc] . unexpected pos")

    target = save_checkpoint(models[0], tmp_path / "tiny", chat_format=chat_format)
    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(CheckpointError, match="could not be saved"):
        save_checkpoint(models[1], target, chat_format=chat_format)
    assert same_weights(Qwen2Audio.from_pretrained(target), models[0])


def test_an_interrupt_leaves_nothing_behind(models, chat_format, tmp_path):
    target = save_checkpoint(models[0], tmp_path / "tiny", chat_format=chat_format)
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, 4, KeyboardInterrupt())  # pyright: ignore[reportArgumentType]
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(models[1], target, chat_format=chat_format)
    assert leftovers(tmp_path) == []
    assert same_weights(Qwen2Audio.from_pretrained(target), models[0])


KILLED_SAVE = """
import os, sys
from pathlib import Path
from q2a_core.checkpoint import open_checkpoint, save_checkpoint
target = Path(sys.argv[1])
checkpoint = open_checkpoint(target)
model = checkpoint.load_model()
model.projector.linear.bias.data.fill_(0.5)
rename, renames = Path.rename, []
def killed(self, other):
    renames.append(other)
    if len(renames) == 2:
        os._exit(9)
    return rename(self, other)
Path.rename = killed
save_checkpoint(model, target, chat_format=checkpoint.chat_format)
"""


def test_a_kill_in_the_middle_of_the_swap(models, chat_format, tmp_path):
    """Between the two renames nothing has the checkpoint's name: opening it finds the old one, and saving clears up."""
    target = save_checkpoint(models[0], tmp_path / "tiny", chat_format=chat_format)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", KILLED_SAVE, str(target)], env=environment, check=False
    )
    assert done.returncode == 9
    assert not target.exists()
    assert len(set_aside(target)) == 1
    assert same_weights(Qwen2Audio.from_pretrained(target), models[0])
    save_checkpoint(models[1], target, chat_format=chat_format)
    assert same_weights(Qwen2Audio.from_pretrained(target), models[1])
    assert set_aside(target) == []


def test_saving_over_itself_and_again(models, chat_format, tmp_path):
    target = tmp_path / "deep" / "er" / "tiny"
    hashes = set()
    for _ in range(2):
        for each in models:
            save_checkpoint(each, target, chat_format=chat_format)
            hashes.add(checkpoint_hash(target))
    assert len(hashes) == 2
    assert leftovers(target.parent) == []


def test_a_parent_that_is_a_file(models, chat_format, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="tiny could not be saved"):
        save_checkpoint(models[0], tmp_path / "file" / "tiny", chat_format=chat_format)


@pytest.mark.skipif(os.name == "nt", reason="file modes are POSIX's")
def test_everybody_may_read_what_is_saved(models, chat_format, tmp_path):
    """safetensors writes files for their owner alone; a checkpoint is there to be shared."""
    target = save_checkpoint(models[0], tmp_path / "tiny", chat_format=chat_format)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in target.iterdir()}
    assert modes == {0o644}


def test_what_is_written_comes_back(models, chat_format, tmp_path):
    target = save_checkpoint(
        models[0],
        tmp_path / "tiny",
        chat_format=chat_format,
        generation_config={"max_new_tokens": 9, "repetition_penalty": 1.1, "top_k": None},
        about={"stage": "pretrain", "trained_seconds": 10.0},
        model_card="# tiny\n\nMade by a test. 声音\n",
    )
    checkpoint = open_checkpoint(target)
    assert checkpoint.name == "tiny"
    assert checkpoint.about == {"stage": "pretrain", "trained_seconds": 10.0}
    assert (target / "README.md").read_text("utf-8").endswith("声音\n")
    generation = checkpoint.generation_config
    assert (generation["max_new_tokens"], generation["repetition_penalty"]) == (9, 1.1)
    assert generation["eos_token_id"] == [2, 0]
    assert "top_k" not in generation
    assert checkpoint.chat_format.template == chat_format.template
    assert checkpoint.hash == checkpoint_hash(target)
    assert len(checkpoint.hash) == 12


def test_a_length_that_was_given_is_not_outdone_by_the_default(models, chat_format, tmp_path):
    for number, given in enumerate(({"max_length": 50}, {})):
        target = save_checkpoint(
            models[0], tmp_path / str(number), chat_format=chat_format, generation_config=given
        )
        saved = open_checkpoint(target).generation_config
        assert ("max_new_tokens" in saved) == (not given)


def test_stored_in_half_precision_computed_in_single(models, chat_format, tmp_path):
    target = save_checkpoint(models[0], tmp_path / "tiny", chat_format=chat_format)
    stored = safetensors.torch.load_file(target / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    checkpoint = open_checkpoint(target)
    assert checkpoint.dtype == torch.float32
    opened = checkpoint.load_model()
    assert {parameter.dtype for parameter in opened.parameters()} == {torch.float32}
    assert not opened.training
    assert same_weights(opened, models[0])
    half = checkpoint.load_model(dtype="bfloat16")
    assert same_weights(half, checkpoint.load_model(dtype=torch.bfloat16))
    assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}


def test_tied_embeddings_stay_tied_in_memory_and_apart_on_disk(chat_format, tmp_path):
    config = presets.tiny(vocab_size=448)
    config = replace(config, decoder=replace(config.decoder, tie_word_embeddings=True))
    tied = Qwen2Audio(config)
    target = save_checkpoint(tied, tmp_path / "tied", chat_format=chat_format)
    stored = safetensors.torch.load_file(target / "model.safetensors")
    assert "language_model.lm_head.weight" in stored
    stored.pop("language_model.lm_head.weight")
    safetensors.torch.save_file(stored, target / "model.safetensors")
    opened = Qwen2Audio.from_pretrained(target)
    assert opened.decoder.lm_head.weight is opened.decoder.embed_tokens.weight


def test_the_hash_names_weights_and_config(models, chat_format, tmp_path):
    first = save_checkpoint(models[0], tmp_path / "a", chat_format=chat_format)
    second = save_checkpoint(models[0], tmp_path / "b", chat_format=chat_format, about={"seed": 1})
    assert checkpoint_hash(first) == checkpoint_hash(second)
    third = save_checkpoint(models[1], tmp_path / "c", chat_format=chat_format)
    assert checkpoint_hash(third) != checkpoint_hash(first)


def test_a_window_that_is_no_whole_number_of_seconds_is_refused(tmp_path, chat_format):
    config = presets.tiny(vocab_size=448)
    encoder = replace(config.encoder, max_source_positions=125)
    odd = Qwen2Audio(replace(config, encoder=encoder))
    with pytest.raises(CheckpointError, match=r"2\.5 s; the format holds whole seconds"):
        save_checkpoint(odd, tmp_path / "x", chat_format=chat_format)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, value, chat_format):
    target = save_checkpoint(model(3), tmp_path / "x", chat_format=chat_format)
    state = safetensors.torch.load_file(target / "model.safetensors")
    state["language_model.model.layers.0.mlp.up_proj.weight"][3, 5] = value
    safetensors.torch.save_file(state, target / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"up_proj\.weight holds NaN or infinite"):
        Qwen2Audio.from_pretrained(target)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), r"layers\.0\.mlp\.up_proj\.weight holds NaN or infinite values"),
        (float("-inf"), r"holds NaN or infinite values, .*; save weights from before"),
        (
            -1e6,
            r"up_proj\.weight reaches 1e\+06, float16 6\.55e\+04 at most; save with a wider dtype",
        ),
    ],
    ids=str,
)
def test_what_nobody_could_open_does_not_replace_what_opens(
    value, message, models, chat_format, tmp_path
):
    target = save_checkpoint(models[0], tmp_path / "tiny", chat_format=chat_format)
    damaged = model(3)
    with torch.no_grad():
        damaged.decoder.layers[0].mlp.up_proj.weight[3, 5] = value
    with pytest.raises(CheckpointError, match=message):
        save_checkpoint(damaged, target, chat_format=chat_format)
    assert same_weights(Qwen2Audio.from_pretrained(target), models[0])
    assert leftovers(tmp_path) == []


def test_large_weights_are_saved_in_a_dtype_that_holds_them(chat_format, tmp_path):
    """Also where their sum overflows and none of them does."""
    large = model(3)
    with torch.no_grad():
        large.decoder.layers[0].mlp.up_proj.weight.fill_(3e38)
    target = save_checkpoint(large, tmp_path / "x", chat_format=chat_format, dtype=torch.float32)
    assert same_weights(Qwen2Audio.from_pretrained(target), large)


def test_a_link_stays_a_link(models, chat_format, tmp_path, monkeypatch):
    real = save_checkpoint(models[0], tmp_path / "there" / "real", chat_format=chat_format)
    link = tmp_path / "link"
    link.symlink_to(real, target_is_directory=True)
    save_checkpoint(models[1], link, chat_format=chat_format)
    assert link.is_symlink()
    assert same_weights(Qwen2Audio.from_pretrained(real), models[1])
    assert leftovers(tmp_path) == leftovers(real.parent) == []
    real.rename(real.with_name(".real.01234567.old"))  # as a kill in the middle leaves it
    assert same_weights(Qwen2Audio.from_pretrained(link), models[1])
    save_checkpoint(models[0], link, chat_format=chat_format)
    assert same_weights(Qwen2Audio.from_pretrained(real), models[0])
    assert leftovers(real.parent) == []


def test_the_folder_that_is_open_has_a_name(models, chat_format, tmp_path, monkeypatch):
    target = save_checkpoint(models[0], tmp_path / "tiny", chat_format=chat_format)
    monkeypatch.chdir(target)
    checkpoint = open_checkpoint(".")
    assert checkpoint.name == "tiny"
    monkeypatch.chdir(tmp_path)
    assert same_weights(checkpoint.load_model(), models[0])
    assert open_checkpoint("tiny/../tiny").name == "tiny"


def test_nothing_but_a_checkpoint_is_replaced(models, chat_format, tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "thesis.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match="notes holds files and is no Qwen2-Audio checkpoint"):
        save_checkpoint(models[0], notes, chat_format=chat_format)
    (notes / "config.json").write_text('{"name": "sft"}')
    with pytest.raises(CheckpointError, match="nothing there is touched"):
        save_checkpoint(models[0], notes, chat_format=chat_format)
    with pytest.raises(CheckpointError, match=r"thesis\.txt is a file"):
        save_checkpoint(models[0], notes / "thesis.txt", chat_format=chat_format)
    assert (notes / "thesis.txt").read_text() == "years of work"
    assert leftovers(tmp_path) == leftovers(notes) == []


def test_an_empty_folder_and_the_one_that_is_open_are_targets(
    models, chat_format, tmp_path, monkeypatch
):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    save_checkpoint(models[0], ".", chat_format=chat_format)
    assert same_weights(Qwen2Audio.from_pretrained(tmp_path / "empty"), models[0])
