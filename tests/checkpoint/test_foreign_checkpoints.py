"""Folders that a finetuning or a wrapper leaves: an adapter is no model, and a prefix is said by name."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from q2a_core import Qwen2Audio
from q2a_core.checkpoint import open_checkpoint
from q2a_core.errors import CheckpointError

BASE = "Qwen/Qwen2-Audio-7B-Instruct"
HEAD = "language_model.lm_head.weight"


@pytest.fixture
def directory(tiny_checkpoint, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "tuned"))


def assert_refused(directory: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(directory).load_model()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def adapter(directory: Path, config: str = json.dumps({"base_model_name_or_path": BASE})) -> None:
    """As PEFT's `save_pretrained` leaves it."""
    (directory / "adapter_config.json").write_text(config, "utf-8")
    key = "base_model.model.language_model.model.layers.0.self_attn.q_proj.lora_A.weight"
    save_file({key: torch.zeros(2, 4)}, directory / "adapter_model.safetensors")


@pytest.mark.parametrize("left", ["nothing", "config", "model"])
def test_an_adapter_names_its_base_and_the_merge(left, directory):
    adapter(directory)
    if left != "model":
        (directory / "model.safetensors").unlink()
    if left == "nothing":
        (directory / "config.json").unlink()
    assert_refused(directory, rf"LoRA adapter \(adapter_config.*'{BASE}' .*merge_and_unload")
    if left == "model":
        assert_refused(directory, "beside a model.*move the adapter away")


def test_the_model_beside_an_adapter_opens_without_it(directory):
    adapter(directory)
    for path in directory.glob("adapter_*"):
        path.unlink()
    open_checkpoint(directory).load_model()


@pytest.mark.parametrize("config", ["{}", '{"base_model_name_or_path": null}'])
def test_an_adapter_that_names_no_base(config, directory):
    adapter(directory, config)
    assert_refused(directory, "merge it into the model it was trained on")


def test_an_adapter_without_its_config(directory):
    adapter(directory)
    (directory / "adapter_config.json").unlink()
    assert_refused(directory, r"LoRA adapter \(adapter_model\.safetensors\)")


@pytest.mark.parametrize(
    ("prefix", "remedy"),
    [
        ("module.", "DataParallel"),
        ("base_model.model.", "merge_and_unload"),
        ("_orig_mod.", "compile"),
    ],
)
def test_the_prefix_of_a_wrapper_is_said(prefix, remedy, directory):
    path = directory / "model.safetensors"
    save_file({prefix + key: value for key, value in load_file(path).items()}, path)
    assert_refused(directory, f"keys of the weights begin with '{prefix}', which .*{remedy}")


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_two_names_of_one_parameter(shift, directory):
    """What the file says twice may be the same; which of two different ones is meant nobody can know."""
    path = directory / "model.safetensors"
    state = load_file(path)
    save_file(state | {"lm_head.weight": state[HEAD] + shift}, path)
    if shift:
        assert_refused(directory, rf"{HEAD} and lm_head\.weight|lm_head\.weight and {HEAD}")
    else:
        found = Qwen2Audio.from_pretrained(directory).decoder.lm_head.weight
        assert torch.equal(found, state[HEAD].float())
