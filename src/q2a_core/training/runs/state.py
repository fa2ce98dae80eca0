"""A training run's state on disk: whole or not there at all, and found again after a kill.

A state is written into a hidden folder, flushed, and renamed. Loading takes the newest whole one; a damaged one is
moved aside, never deleted.
"""

import hashlib
import io
import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import torch
from torch import nn

from q2a_core.checkpoint.save import flush, swap_in
from q2a_core.errors import RunError
from q2a_core.training.optimizer import Optimizer
from q2a_core.training.runs.layout import STATES

KEPT_STATES = 2
"""Newest states that stay on disk."""
FILES = ("weights.safetensors", "optimizer.pt")


def save_state(
    run: Path,
    step: int,
    *,
    module: nn.Module,
    optimizer: Optimizer,
    extra: dict[str, Any],
) -> Path:
    """Write the state after `step`; raises RunError if the disk refuses, with the earlier states untouched."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    target = run / STATES / f"step-{step:07d}"
    staging = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        staging.mkdir(parents=True)
        save_file(_tensors(module), staging / FILES[0])
        # through memory: of a full disk torch's own writer says only "unexpected pos 177984 vs 177876"
        written = io.BytesIO()
        torch.save(optimizer.state_dict(), written)
        # a copy: the traceback of a refused write would hold a view of what Python then wants to free
        (staging / FILES[1]).write_bytes(written.getvalue())
        record = {
            "step": step,
            "sha256": {name: _sha256(staging / name) for name in FILES},
            **extra,
        }
        (staging / "state.json").write_text(json.dumps(record), encoding="utf-8")
        for path in staging.iterdir():
            flush(path)
        swap_in(staging, target)
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise RunError(
            f"the state after step {step} could not be saved in {run.name}: {error}; earlier states are untouched, "
            "make room and resume"
        ) from error
    for old in saved_states(run)[:-KEPT_STATES]:
        _discard(old)
    return target


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """All tensors by name, one under two names, such as a head that is the embedding, twice: the format wants it so."""
    tensors: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in module.state_dict().items():
        tensors[name] = tensor.detach().contiguous()
        if tensor.data_ptr() in seen:
            tensors[name] = tensors[name].clone()
        seen.add(tensor.data_ptr())
    return tensors


def _discard(state: Path) -> None:
    """Hide a state before its files go, so that a kill in between leaves no half of one."""
    hidden = state.with_name(f".{state.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        state.rename(hidden)
    except OSError:
        return
    shutil.rmtree(hidden, ignore_errors=True)


def saved_states(run: Path) -> list[Path]:
    """Folders of saved states, oldest first, whole or not."""
    return sorted((run / STATES).glob("step-*")) if (run / STATES).is_dir() else []


def load_newest(run: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole state and its record; None if there is none. Changes nothing on disk."""
    for path in reversed(saved_states(run)):
        record = _whole(path)
        if record is not None:
            return path, record
    return None


def tidy(run: Path) -> None:
    """Remove half-written states and move damaged ones aside; only for the process that holds the run."""
    for leftover in (run / STATES).glob(".*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    for path in saved_states(run):
        if _whole(path) is None:
            path.rename(path.with_name(f".corrupt-{path.name}-{uuid.uuid4().hex[:8]}"))


def _whole(path: Path) -> dict[str, Any] | None:
    """The record of a state whose files are what they were; None for a damaged one."""
    try:
        record = json.loads((path / "state.json").read_text("utf-8"))
        if all(record["sha256"][name] == _sha256(path / name) for name in FILES):
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def restore(path: Path, *, module: nn.Module, optimizer: Optimizer) -> None:
    """Put a saved state back."""
    from safetensors.torch import load_file

    module.load_state_dict(load_file(path / FILES[0]))
    optimizer.load_state_dict(torch.load(path / FILES[1], map_location="cpu", weights_only=True))


def restore_weights(path: Path, model: nn.Module) -> dict[str, torch.Tensor]:
    """Put the model's weights of a saved state into `model`; returns the heads that only training needs."""
    from safetensors.torch import load_file

    prefix = "model."
    state = load_file(path / FILES[0])
    model.load_state_dict({k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)})
    return {k: v for k, v in state.items() if not k.startswith(prefix)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
