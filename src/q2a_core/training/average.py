"""The mean of several checkpoints' weights, as a checkpoint of its own.

Runs that went on from one another end in the same valley, each somewhere on its slopes: their mean lies nearer the
bottom, and what each had learned too eagerly of its last clips cancels out. After "model soups" (arXiv 2203.05482) and
WiSE-FT (arXiv 2109.01903), there for image classifiers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from q2a_core.checkpoint import Checkpoint, save_checkpoint
from q2a_core.checkpoint.weights import RUN_LOG_FILE
from q2a_core.errors import RunError
from q2a_core.training.command import command_of
from q2a_core.training.model_card import model_card


def average(checkpoints: Sequence[Checkpoint], target: Path) -> Path:
    """Write the mean of the weights, in fp32, with what the first checkpoint says of itself and where all come from.

    The first is the one whose story goes on: its stage, run log and spelling head's shape. Raises RunError for fewer
    than two checkpoints, the same one twice, other dimensions or another tokenizer, and where `target` is one of them.
    """
    _check(checkpoints, target)
    first = checkpoints[0]
    models = [checkpoint.load_model() for checkpoint in checkpoints]
    models[0].load_state_dict(_mean([model.state_dict() for model in models]))
    heads = [checkpoint.training_tensors() for checkpoint in checkpoints]
    about = {**first.about, "averaged": [_member(checkpoint) for checkpoint in checkpoints]}
    log = first.directory / RUN_LOG_FILE
    return save_checkpoint(
        models[0],
        target,
        chat_format=first.chat_format,
        generation_config=first.generation_config,
        about=about,
        model_card=model_card(about) if "config" in first.about else None,
        training=_mean(heads) if _alike(heads) else heads[0],
        run_log=log.read_text("utf-8") if log.is_file() else None,
    )


def _mean(states: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {
        name: torch.stack([state[name].float() for state in states]).mean(dim=0)
        for name in states[0]
    }


def _alike(states: Sequence[dict[str, torch.Tensor]]) -> bool:
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
    return all(shape == shapes[0] for shape in shapes)


def _member(checkpoint: Checkpoint) -> dict[str, Any]:
    """One of the averaged, for about.json and the card."""
    about = checkpoint.about
    made = None
    if "config" in about:
        made = command_of(about["config"], about.get("pairs"), precision=about.get("precision"))
    told = {"name": checkpoint.name, "hash": checkpoint.hash, "command": made}
    return told | {key: about[key] for key in ("clips", "start", "averaged") if key in about}


def _check(checkpoints: Sequence[Checkpoint], target: Path) -> None:
    if len(checkpoints) < 2:
        raise RunError(f"a mean of {len(checkpoints)} checkpoints; expected two or more")
    first, seen = checkpoints[0], set[str]()
    for checkpoint in checkpoints:
        name = f"{checkpoint.name} ({checkpoint.hash})"
        if checkpoint.hash in seen:
            raise RunError(f"{name} is given twice; expected different weights")
        seen.add(checkpoint.hash)
        if checkpoint.config != first.config:
            raise RunError(f"{name} has other dimensions than {first.name}; only alike ones mix")
        if checkpoint.chat_format.tokenizer.to_json() != first.chat_format.tokenizer.to_json():
            raise RunError(f"{name} has another tokenizer than {first.name}; only alike ones mix")
        if checkpoint.directory.resolve() == target.resolve():
            raise RunError(f"the mean would replace {name}; choose another folder")
