"""A run's model as a checkpoint in the hub's layout: at the end of the training, or whenever somebody asks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from q2a_core import presets
from q2a_core.checkpoint import save_checkpoint
from q2a_core.errors import RunError
from q2a_core.model import Qwen2Audio
from q2a_core.text import ChatFormat
from q2a_core.training.loop import Hooks
from q2a_core.training.model_card import about_run, model_card, trained_on
from q2a_core.training.origin import heads_of_start, noted_start
from q2a_core.training.processes import PRECISIONS, Processes
from q2a_core.training.runs.claim import settings_of
from q2a_core.training.runs.layout import CHECKPOINT, LOG_FILE
from q2a_core.training.runs.runlog import precision_of, read_log, steps_done
from q2a_core.training.runs.state import load_newest, restore_weights
from q2a_core.training.stages import StageConfig
from q2a_core.world.mini_tokenizer import mini_chat_format


def hand_over(
    run: Path,
    stage: StageConfig,
    *,
    model: Qwen2Audio,
    heads: dict[str, torch.Tensor],
    chat_format: ChatFormat,
    processes: Processes,
    hooks: Hooks,
) -> Path | None:
    """RUN/checkpoint after the steps that were made, written by the first process for all; None if there were none."""
    target = run / CHECKPOINT
    with processes.first_alone():
        step = steps_done(run / LOG_FILE)
        if step == 0:
            if processes.writes:
                hooks.on_message("stopped before the first step: there is no checkpoint to write")
            return None
        if processes.writes:
            export(
                run,
                stage,
                model=model,
                heads=heads,
                chat_format=chat_format,
                target=target,
                step=step,
            )
    return target


def export_newest(
    run: Path, target: Path, *, on_message: Callable[[str], None] = lambda message: None
) -> Path:
    """Write the newest saved state of a run, finished or not, as a checkpoint; `on_message` hears what it lacks.

    Raises RunError, and CheckpointError if `target` holds anything but a checkpoint.
    """
    run = run.resolve()
    stage = settings_of(run)
    _check_apart(run, target.resolve())
    found = load_newest(run)
    if found is None:
        raise RunError(
            f"{run.name} has no whole state yet; train at least {min(stage.save_every, stage.steps)} steps"
        )
    model = Qwen2Audio(presets.mini())
    heads = restore_weights(found[0], model) or heads_of_start(stage, noted_start(run))
    if heads is None:
        on_message(
            f"the start of {run.name} is no longer there: the checkpoint has no spelling head, "
            "and a stage that goes on from it learns one anew"
        )
    return export(
        run,
        stage,
        model=model,
        heads=heads or {},
        chat_format=mini_chat_format(),
        target=target,
        step=found[1]["step"],
    )


def export(
    run: Path,
    stage: StageConfig,
    *,
    model: Qwen2Audio,
    heads: dict[str, torch.Tensor],
    chat_format: ChatFormat,
    target: Path,
    step: int,
) -> Path:
    """Write a trained model as a checkpoint, with what faces need to know about it in about.json."""
    records = read_log(run / LOG_FILE) if (run / LOG_FILE).is_file() else []
    about = about_run(stage, step=step, pairs=_pairs_by_kind(records))
    if (precision := precision_of(records)) != PRECISIONS[0]:
        about["precision"] = precision
    start = noted_start(run)
    if start is not None:
        heard = start.pop("trained_on", "")
        start.pop("folder", None)  # where it lay on this machine is nobody else's business
        about |= {"start": start, "clips": about["clips"] + start["clips"]}
        about["trained_on"] = trained_on(stage, before=heard)
        about["config"]["start"] = start["name"]
    return save_checkpoint(
        model,
        target,
        chat_format=chat_format,
        about=about,
        model_card=model_card(about),
        training=heads,
        run_log=_log_to_ship(records, about["config"]["start"]),
    )


def _check_apart(run: Path, target: Path) -> None:
    """Both are resolved. A checkpoint takes the place of what it replaces, and that may not be the run."""
    if target == run or target in run.parents:
        raise RunError(
            f"{target.name or target} is or contains the run {run.name}, which an export there would replace; "
            "choose a folder outside of it"
        )
    if run in target.parents and target != run / CHECKPOINT:
        raise RunError(
            f"{target.name} lies in the run {run.name}; expected its folder {CHECKPOINT} or one outside of the run"
        )


def _pairs_by_kind(records: list[dict[str, Any]]) -> dict[str, int] | None:
    """What the run's log says of the preference pairs, those of its last beginning; None for other stages."""
    told = [r["pairs_by_kind"] for r in records if r["kind"] == "run" and "pairs_by_kind" in r]
    return told[-1] if told else None


def _log_to_ship(records: list[dict[str, Any]], start: str | None) -> str | None:
    """The run's log, with the start checkpoint by its name and not by where it lay."""
    for record in records:
        if record["kind"] == "run":
            record["stage"]["start"] = start
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records) or None
