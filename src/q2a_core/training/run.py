"""A whole run: speech book, corpus, model, loop, and at the end a checkpoint in the hub's layout."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from q2a_core import presets
from q2a_core.checkpoint import Checkpoint, open_checkpoint, save_checkpoint
from q2a_core.errors import RunError
from q2a_core.inference import GenerationSettings, generate
from q2a_core.inference.batch import prompt_batch, stop_ids
from q2a_core.model import Qwen2Audio
from q2a_core.text import ChatFormat
from q2a_core.training.data import held_out_examples, preference_corpus, training_blocks
from q2a_core.training.dpo import train_dpo
from q2a_core.training.loop import Hooks, train
from q2a_core.training.model_card import about_run, model_card
from q2a_core.training.preferences import PreferencePair
from q2a_core.training.processes import Processes
from q2a_core.training.runlog import read_log
from q2a_core.training.sampled_pairs import Sampling, sample_pairs
from q2a_core.training.stages import SAMPLED_PAIRS, StageConfig
from q2a_core.training.state import load_newest, restore_weights
from q2a_core.training.supervised import Supervised
from q2a_core.training.thing_pairs import absent_pairs
from q2a_core.world.corpus import Example
from q2a_core.world.mini_tokenizer import mini_chat_format

START_FILE = "start.json"
"""Inside a run: name, hash and clips of the checkpoint that it went on from."""


def run_stage(
    stage: StageConfig,
    run: Path,
    *,
    resume: bool = False,
    hooks: Hooks | None = None,
    precision: str = "no",
    on_speech: Callable[[int, int], None] | None = None,
) -> Path:
    """Train a supervised stage in the folder `run` and export RUN/checkpoint; returns its path.

    Raises RunError, SpeechError and CheckpointError.
    """
    hooks = hooks or Hooks()
    chat_format = mini_chat_format()
    processes = Processes(precision)
    with processes.first_alone():
        objective = _objective(stage, run)
        blocks, book = training_blocks(stage, chat_format, on_speech=on_speech)
        _listen(stage, chat_format, hooks)
    train(
        stage,
        run,
        objective=objective,
        blocks=blocks,
        facts={"book": book},
        resume=resume,
        hooks=hooks,
        precision=precision,
    )
    return _hand_over(run, stage, objective.model, objective.heads(), chat_format, processes)


def run_dpo(
    stage: StageConfig,
    run: Path,
    *,
    pairs: Sequence[PreferencePair] | None = None,
    sampled: int = SAMPLED_PAIRS["full"],
    absent: int = 0,
    resume: bool = False,
    hooks: Hooks | None = None,
    precision: str = "no",
    on_speech: Callable[[int, int], None] | None = None,
    on_pairs: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Train on preferences in the folder `run` and export RUN/checkpoint; returns its path.

    `sampled` pairs come from the start checkpoint's own replies and `absent` ones are about things that are not there;
    `pairs` are added to them. The same seed makes the same pairs, so a resumed run makes them again. Raises RunError,
    SpeechError and CheckpointError.
    """
    hooks = hooks or Hooks()
    chat_format = mini_chat_format()
    processes = Processes(precision)
    chosen = [*(pairs or ()), *absent_pairs(absent, seed=stage.seed)]
    with processes.first_alone():
        model, heads = _begin(stage, run)
        model.eval()
        corpus = preference_corpus(stage, on_speech=on_speech) if sampled else None
        _listen(stage, chat_format, hooks)
    if corpus is not None:
        chosen += sample_pairs(
            model,
            chat_format,
            corpus,
            count=sampled,
            sampling=Sampling(seed=stage.seed),
            on_progress=on_pairs,
        )
    train_dpo(
        stage,
        run,
        model=model,
        chat_format=chat_format,
        pairs=chosen,
        resume=resume,
        hooks=hooks,
        precision=precision,
    )
    return _hand_over(run, stage, model, heads, chat_format, processes)


def _hand_over(
    run: Path,
    stage: StageConfig,
    model: Qwen2Audio,
    heads: dict[str, torch.Tensor],
    chat_format: ChatFormat,
    processes: Processes,
) -> Path:
    """RUN/checkpoint, written by the first process for all."""
    with processes.first_alone():
        if processes.writes:
            export(run, stage, model=model, heads=heads, chat_format=chat_format)
    return run / "checkpoint"


def _listen(stage: StageConfig, chat_format: ChatFormat, hooks: Hooks) -> None:
    """Have the same held-out clips decoded now and then while training."""
    examples = held_out_examples(stage)
    hooks.on_sample = lambda model, step: [_decode(model, chat_format, e) for e in examples]


def export_newest(run: Path, target: Path) -> Path:
    """Write the newest saved state of a run, finished or not, as a checkpoint. Raises RunError."""
    config = run / "config.json"
    if not config.is_file():
        raise RunError(f"{run.name} holds no run; expected a folder that q2a train has written")
    stage = StageConfig.from_dict(json.loads(config.read_text("utf-8")))
    found = load_newest(run)
    if found is None:
        raise RunError(
            f"{run.name} has no whole state yet; train at least {stage.save_every} steps"
        )
    model = Qwen2Audio(presets.mini())
    heads = restore_weights(found[0], model)
    return export(
        run,
        stage,
        model=model,
        heads=heads,
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
    target: Path | None = None,
    step: int | None = None,
) -> Path:
    """Write a trained model as a checkpoint, with what faces need to know about it in about.json."""
    about = about_run(stage, step=stage.steps if step is None else step)
    if (run / START_FILE).is_file():
        start = json.loads((run / START_FILE).read_text("utf-8"))
        about |= {"start": start, "clips": about["clips"] + start["clips"]}
        about["config"]["start"] = start["name"]
    return save_checkpoint(
        model,
        target or run / "checkpoint",
        chat_format=chat_format,
        about=about,
        model_card=model_card(about),
        training=heads,
        run_log=_log_to_ship(run, about["config"]["start"]),
    )


def _log_to_ship(run: Path, start: str | None) -> str | None:
    """The run's log, with the start checkpoint by its name and not by where it lay."""
    path = run / "log.jsonl"
    if not path.is_file():
        return None
    records = read_log(path)
    for record in records:
        if record["kind"] == "run":
            record["stage"]["start"] = start
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _objective(stage: StageConfig, run: Path) -> Supervised:
    model, heads = _begin(stage, run)
    objective = Supervised(
        model, ctc_weight=stage.ctc_weight, seed=stage.seed, connected=stage.connected
    )
    objective.put_heads(heads)
    return objective


def _begin(stage: StageConfig, run: Path) -> tuple[Qwen2Audio, dict[str, torch.Tensor]]:
    """The model to train and the heads that came with it.

    A spelling head learned anew would send its first, huge gradients through an encoder that already hears.
    """
    if stage.start is not None:
        checkpoint = open_checkpoint(stage.start)
        _note_start(run, checkpoint)
        return checkpoint.load_model(), checkpoint.training_tensors()
    model = Qwen2Audio(presets.mini())
    model.init_weights(torch.Generator().manual_seed(stage.seed))
    return model, {}


def _note_start(run: Path, checkpoint: Checkpoint) -> None:
    """Write down which checkpoint the run began with, before that name may come to mean another."""
    path = run / START_FILE
    if not path.is_file():
        run.mkdir(parents=True, exist_ok=True)
        clips = checkpoint.about.get("clips", 0)
        start = {"name": checkpoint.name, "hash": checkpoint.hash, "clips": clips}
        path.write_text(json.dumps(start) + "\n", encoding="utf-8")


def _decode(model: Qwen2Audio, chat_format: ChatFormat, example: Example) -> dict[str, Any]:
    """What the model says to one held-out clip, beside what is true."""
    assert example.samples is not None
    batch = prompt_batch(
        chat_format,
        [example.task.prompt],
        [example.samples],
        device=model.projector.linear.weight.device,
    )
    settings = GenerationSettings(stop_ids=stop_ids(chat_format), max_new_tokens=32)
    reply = generate(model, settings=settings, **batch)
    text = chat_format.tokenizer.decode(reply.token_ids[0])
    return {
        "task": example.task.name,
        "clip": example.scene.index,
        "said": text,
        "true": example.task.answer,
    }
