"""`q2a train`: the stages."""

import os
from functools import partial
from typing import Any

import typer

from q2a_core.cli import trained_weights
from q2a_core.cli.progress import bar
from q2a_core.cli.train_options import (
    DPOOptions,
    PretrainOptions,
    SftOptions,
    SpokenOptions,
    TrainOptions,
    taking_options,
)
from q2a_core.cli.train_run import configured, run_to_end

app = typer.Typer(
    help="Train a stage on the mini world; stop with Ctrl-C, go on with --resume.",
    no_args_is_help=True,
)


@app.callback()
def _let_waiting_threads_sleep() -> None:
    # OpenMP reads it when torch is imported. Its threads wait by turning in a loop, which takes the cores from the
    # process that makes the batches and from all else that runs: beside chats on two cores a run was 1.5 times as
    # quick with them asleep, alone as quick.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@app.command()
@taking_options
def start(options: SpokenOptions) -> None:
    """Before the stages: teach the encoder to spell and the decoder how answers go, apart.

    Example: q2a train start --run my_run --steps 200
    """
    from q2a_core.training import stages

    _train(stages.start, options)


@app.command()
@taking_options
def pretrain(options: PretrainOptions) -> None:
    """Train encoder, projector and decoder on typed questions about clips.

    Example: q2a train pretrain --run my_run --steps 200
    """
    from q2a_core.training import stages

    _train(stages.pretrain, options)


@app.command()
@taking_options
def sft(options: SftOptions) -> None:
    """Fine-tune on dialogues: voice chat and audio analysis at once, nothing says which is which.

    Example: q2a train sft --run my_run --budget class
    """
    from q2a_core.training import stages

    _train(stages.sft, options)


@app.command()
@taking_options
def dpo(options: DPOOptions) -> None:
    """Train on preferences between two replies, with the start checkpoint as frozen reference.

    Example: q2a train dpo --run my_run --pairs my_pairs.jsonl --sampled 0
    """
    from q2a_core.training import stages
    from q2a_core.training.preference.pair_file import read_pairs
    from q2a_core.training.run import run_dpo

    own = None if options.pairs is None else read_pairs(options.pairs)
    sampled, absent = options.sampled, options.absent
    if sampled is None:
        sampled = stages.SAMPLED_PAIRS[options.budget]
    if absent is None:
        absent = stages.ABSENT_PAIRS[options.budget] if sampled else 0
    with bar("sampling", "pairs") as on_pairs:
        runner = partial(run_dpo, pairs=own, sampled=sampled, absent=absent)
        _train(stages.dpo, options, runner, on_pairs)


app.command()(trained_weights.average)
app.command()(trained_weights.export)


def _train(stage: Any, options: TrainOptions, runner: Any = None, on_pairs: Any = None) -> None:
    config = configured(stage, options.budget, **options.changes())
    how = (options.resume, options.workers, options.precision)
    run_to_end(config, options.run, *how, runner, on_pairs)
