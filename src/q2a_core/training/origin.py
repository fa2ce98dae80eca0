"""What a run begins from: fresh weights, or a checkpoint that this workbench's training can go on with."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from q2a_core import presets
from q2a_core.checkpoint import Checkpoint, open_checkpoint
from q2a_core.errors import CheckpointError, RunError
from q2a_core.files import write_whole
from q2a_core.model import Qwen2Audio
from q2a_core.training.runs.class_run import is_trainable
from q2a_core.training.runs.layout import START_FILE
from q2a_core.training.stages import StageConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """A model to train, and where it comes from."""

    model: Qwen2Audio
    heads: dict[str, torch.Tensor]
    """What only training needs and the checkpoint brought along; {} for fresh weights.

    A spelling head learned anew would send its first, huge gradients through an encoder that already hears.
    """
    start: dict[str, Any] | None
    """The checkpoint's name, folder, hash, clips and what it heard; None for fresh weights."""


def open_origin(stage: StageConfig) -> Origin:
    """What `stage` begins from. Raises CheckpointError and, for a checkpoint of another kind, RunError."""
    if stage.start is None:
        model = Qwen2Audio(presets.mini())
        model.init_weights(torch.Generator().manual_seed(stage.seed))
        return Origin(model=model, heads={}, start=None)
    checkpoint = open_checkpoint(stage.start)
    _check(checkpoint)
    return Origin(
        model=checkpoint.load_model(),
        heads=checkpoint.training_tensors(),
        start={
            "name": checkpoint.name,
            "folder": str(checkpoint.directory.resolve()),
            "hash": checkpoint.hash,
            "clips": checkpoint.about.get("clips", 0),
            "trained_on": checkpoint.about.get("trained_on", ""),
        },
    )


def note_start(run: Path, start: dict[str, Any] | None) -> None:
    """Write down which checkpoint the run begins with, before that name may come to mean another."""
    path = run / START_FILE
    if start is None:
        path.unlink(missing_ok=True)
    else:
        write_whole(path, json.dumps(start) + "\n")


def noted_start(run: Path) -> dict[str, Any] | None:
    """What `note_start` wrote; None for fresh weights."""
    path = run / START_FILE
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def heads_of_start(
    stage: StageConfig, noted: dict[str, Any] | None
) -> dict[str, torch.Tensor] | None:
    """The training heads that a stage without any of its own hands on; None where its start is no longer there.

    It is sought in the folder that was noted, which older runs lack, and by the name that was given, which may be one
    relative to another folder than this.
    """
    if stage.start is None:
        return {}
    noted = noted or {}
    for place in (noted.get("folder"), stage.start):
        with contextlib.suppress(CheckpointError):
            checkpoint = open_checkpoint(place) if place else None
            if checkpoint is not None and checkpoint.hash == noted.get("hash"):
                return checkpoint.training_tensors()
    return None


def _check(checkpoint: Checkpoint) -> None:
    found = None
    if not is_trainable(checkpoint.directory):
        found = "another tokenizer than the mini world's"
    elif checkpoint.config != presets.mini():
        found = "other dimensions than the mini model's"
    if found is not None:
        raise RunError(
            f"the start checkpoint {checkpoint.name} has {found}; expected one that q2a train made: "
            "give its folder or the name of a shipped one with --start"
        )
