"""Which weights moved: against a difference worked out in NumPy, with shards, frozen parts, and other architectures."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from q2a_core import presets
from q2a_core.checkpoint import save_checkpoint
from q2a_core.errors import CheckpointError
from q2a_core.inspection.weight_change import by_kind, by_layer, by_part, weight_changes
from q2a_core.model import Qwen2Audio


@pytest.fixture(scope="module")
def moved(tmp_path_factory, tiny_model, chat_format):
    """The tiny checkpoint with a frozen encoder: noise on the decoder, one layer much more than the rest."""
    model = copy.deepcopy(tiny_model)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.decoder.named_parameters():
            size = 0.2 if name.startswith("layers.1.") else 0.02
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    directory = tmp_path_factory.mktemp("moved") / "moved"
    return save_checkpoint(model, directory, chat_format=chat_format)


def relative(before, after, *prefixes: str) -> float:
    """Norm of the difference over the norm before, of all tensors whose hub key begins with one of the prefixes."""
    old, new = (load_file(path / "model.safetensors") for path in (before, after))
    keys = [key for key in old if key.startswith(prefixes)]
    assert keys
    flat_old, flat_new = (
        np.concatenate([tensors[key].astype(np.float64).ravel() for key in keys])
        for tensors in (old, new)
    )
    return float(np.linalg.norm(flat_new - flat_old) / np.linalg.norm(flat_old))


def test_parts_and_layers_moved_as_numpy_says(tiny_checkpoint, moved):
    changes = weight_changes(tiny_checkpoint, moved)
    parts = {row.part: row for row in by_part(changes)}
    assert list(parts) == ["audio_encoder", "projector", "decoder"]
    assert parts["audio_encoder"].relative == parts["projector"].relative == 0.0
    expected = relative(tiny_checkpoint, moved, "language_model.")
    assert parts["decoder"].relative == pytest.approx(expected, rel=1e-9)
    rows = {(row.part, row.layer, row.kind): row for row in by_layer(changes)}
    for layer in (0, 1):
        expected = relative(tiny_checkpoint, moved, f"language_model.model.layers.{layer}.")
        assert rows["decoder", layer, ""].relative == pytest.approx(expected, rel=1e-9)
    expected = relative(tiny_checkpoint, moved, "language_model.lm_head")
    assert rows["decoder", None, "output head"].relative == pytest.approx(expected, rel=1e-9)
    cells = {(row.part, row.layer, row.kind): row for row in by_kind(changes)}
    prefix = "language_model.model.layers.1.mlp."
    expected = relative(tiny_checkpoint, moved, f"{prefix}gate_proj", f"{prefix}up_proj")
    assert cells["decoder", 1, "feed-forward in"].relative == pytest.approx(expected, rel=1e-9)


def test_every_weight_is_counted_once_in_the_order_of_the_flow(tiny_checkpoint, moved, tiny_model):
    changes = weight_changes(tiny_checkpoint, moved)
    total = sum(parameter.numel() for parameter in tiny_model.parameters())
    for rows in (by_part(changes), by_layer(changes)):
        assert sum(row.weights for row in rows) == total
    order = [(row.part, row.layer, row.kind) for row in by_layer(changes)]
    assert order[0] == ("audio_encoder", None, "convolution")
    assert order[-1] == ("decoder", None, "output head")
    assert order.index(("decoder", None, "embedding")) < order.index(("decoder", 0, ""))
    assert order.index(("decoder", 0, "")) < order.index(("decoder", 1, ""))
    assert order.index(("decoder", 1, "")) < order.index(("decoder", None, "norm"))


def test_shards_are_the_same_weights(tiny_checkpoint, moved, tmp_path):
    tensors = load_file(moved / "model.safetensors")
    keys = sorted(tensors)
    index = {}
    for number in range(3):
        name = f"model-{number}.safetensors"
        part = {key: tensors[key] for key in keys[number::3]}
        save_file(part, tmp_path / name)
        index |= dict.fromkeys(part, name)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    (tmp_path / "config.json").write_text((moved / "config.json").read_text("utf-8"), "utf-8")
    whole, sharded = (by_layer(weight_changes(tiny_checkpoint, path)) for path in (moved, tmp_path))
    assert whole == sharded


def test_nothing_moved_between_a_checkpoint_and_itself(tiny_checkpoint):
    rows = by_layer(weight_changes(tiny_checkpoint, tiny_checkpoint))
    assert all(row.relative == 0 for row in rows)


def test_weights_that_were_zero_moved_without_end(
    tiny_checkpoint, tiny_model, chat_format, tmp_path
):
    model = copy.deepcopy(tiny_model)
    with torch.no_grad():
        model.projector.linear.weight.zero_()
        model.projector.linear.bias.zero_()
    zero = save_checkpoint(model, tmp_path / "zero", chat_format=chat_format)
    parts = {row.part: row for row in by_part(weight_changes(zero, tiny_checkpoint))}
    assert parts["projector"].relative == math.inf


def test_another_architecture_is_refused(tiny_checkpoint, tmp_path, chat_format):
    other = Qwen2Audio(presets.tiny(vocab_size=512))
    other.init_weights(torch.Generator().manual_seed(0))
    directory = save_checkpoint(other, tmp_path / "other", chat_format=chat_format)
    with pytest.raises(CheckpointError, match="only checkpoints of one architecture"):
        weight_changes(tiny_checkpoint, directory)
    tensors = load_file(tiny_checkpoint / "model.safetensors")
    tensors.pop("multi_modal_projector.linear.bias")
    save_file(tensors, directory / "model.safetensors")
    for one, two in ((directory, tiny_checkpoint), (tiny_checkpoint, directory)):
        with pytest.raises(CheckpointError, match="different architectures"):
            weight_changes(one, two)
