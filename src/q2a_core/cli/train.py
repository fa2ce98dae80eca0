"""`q2a train`: the stages."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from q2a_core.cli import trained_weights
from q2a_core.cli.progress import bar
from q2a_core.cli.train_options import (
    Accumulate,
    BatchSize,
    Budget,
    Flite,
    Optimizer,
    PartRate,
    Pico,
    Precision,
    Ramp,
    Rate,
    Resume,
    RHVoice,
    Run,
    Seed,
    Start,
    Steps,
    Utterances,
    Workers,
    engines_of,
)
from q2a_core.cli.train_run import configured, run_to_end

app = typer.Typer(
    help="Train a stage on the mini world; stop with Ctrl-C, go on with --resume.",
    no_args_is_help=True,
)


@app.command(name="start")
def start_stage(
    run: Run = None,
    budget: Budget = "full",
    steps: Steps = None,
    batch_size: BatchSize = None,
    accumulate: Accumulate = None,
    learning_rate: Rate = None,
    part_rate: PartRate = None,
    optimizer: Optimizer = None,
    utterances: Utterances = None,
    flite: Flite = False,
    rhvoice: RHVoice = False,
    pico: Pico = False,
    seed: Seed = 0,
    start: Start = None,
    resume: Resume = False,
    workers: Workers = 1,
    precision: Precision = "no",
) -> None:
    """Before the stages: teach the encoder to spell and the decoder how answers go, apart.

    Example: q2a train start --run my_run --steps 200
    """
    from q2a_core.training.stages import start as stage

    config = configured(
        stage,
        budget,
        steps=steps,
        learning_rate=learning_rate,
        part_rates=part_rate,
        optimizer=optimizer,
        start=start,
        utterances=utterances,
        batch_size=batch_size,
        accumulate=accumulate,
        engines=engines_of(flite=flite, rhvoice=rhvoice, pico=pico),
        seed=seed,
    )
    run_to_end(config, run, resume, workers, precision)


@app.command()
def pretrain(
    run: Run = None,
    budget: Budget = "full",
    steps: Steps = None,
    batch_size: BatchSize = None,
    accumulate: Accumulate = None,
    learning_rate: Rate = None,
    part_rate: PartRate = None,
    optimizer: Optimizer = None,
    utterances: Utterances = None,
    level: Annotated[
        Literal["first", "grown"], typer.Option(help="World that the clips come from.")
    ] = "grown",
    prompts: Annotated[
        Literal["natural", "tags"], typer.Option(help="How the tasks are worded.")
    ] = "natural",
    ramp: Ramp = None,
    flite: Flite = False,
    rhvoice: RHVoice = False,
    pico: Pico = False,
    seed: Seed = 0,
    start: Start = None,
    resume: Resume = False,
    workers: Workers = 1,
    precision: Precision = "no",
) -> None:
    """Train encoder, projector and decoder on typed questions about clips.

    Example: q2a train pretrain --run my_run --steps 200
    """
    from q2a_core.training.stages import pretrain as stage

    config = configured(
        stage,
        budget,
        steps=steps,
        learning_rate=learning_rate,
        part_rates=part_rate,
        optimizer=optimizer,
        start=start,
        utterances=utterances,
        batch_size=batch_size,
        accumulate=accumulate,
        level=level,
        prompts=prompts,
        ramp=ramp,
        engines=engines_of(flite=flite, rhvoice=rhvoice, pico=pico),
        seed=seed,
    )
    run_to_end(config, run, resume, workers, precision)


@app.command()
def sft(
    run: Run = None,
    budget: Budget = "full",
    steps: Steps = None,
    batch_size: BatchSize = None,
    accumulate: Accumulate = None,
    learning_rate: Rate = None,
    part_rate: PartRate = None,
    optimizer: Optimizer = None,
    utterances: Utterances = None,
    ramp: Ramp = None,
    flite: Flite = False,
    rhvoice: RHVoice = False,
    pico: Pico = False,
    seed: Seed = 0,
    start: Start = None,
    resume: Resume = False,
    workers: Workers = 1,
    precision: Precision = "no",
) -> None:
    """Fine-tune on dialogues: voice chat and audio analysis at once, nothing says which is which.

    Example: q2a train sft --run my_run --budget class
    """
    from q2a_core.training.stages import sft as stage

    config = configured(
        stage,
        budget,
        steps=steps,
        learning_rate=learning_rate,
        part_rates=part_rate,
        optimizer=optimizer,
        start=start,
        utterances=utterances,
        batch_size=batch_size,
        accumulate=accumulate,
        ramp=ramp,
        engines=engines_of(flite=flite, rhvoice=rhvoice, pico=pico),
        seed=seed,
    )
    run_to_end(config, run, resume, workers, precision)


@app.command()
def dpo(
    run: Run = None,
    budget: Budget = "full",
    pairs: Annotated[
        Path | None,
        typer.Option(help="JSONL of your own pairs: clip, prompt, chosen, rejected."),
    ] = None,
    sampled: Annotated[
        int | None,
        typer.Option(
            min=0, help="Pairs about the model's own replies, ranked by the judge; by the budget."
        ),
    ] = None,
    absent: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Pairs about things that are not in the clip; by the budget, none without sampled ones.",
        ),
    ] = None,
    steps: Steps = None,
    batch_size: BatchSize = None,
    accumulate: Accumulate = None,
    learning_rate: Rate = None,
    part_rate: PartRate = None,
    optimizer: Optimizer = None,
    beta: Annotated[
        float | None, typer.Option(min=0.0, help="How strongly the reference holds.")
    ] = None,
    nll_weight: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Weight of the chosen replies' own loss, which keeps them likely."
        ),
    ] = None,
    seed: Seed = 0,
    start: Start = None,
    resume: Resume = False,
    workers: Workers = 1,
    precision: Precision = "no",
) -> None:
    """Train on preferences between two replies, with the start checkpoint as frozen reference.

    Example: q2a train dpo --run my_run --pairs my_pairs.jsonl --sampled 0
    """
    from q2a_core.training.preference.pair_file import read_pairs
    from q2a_core.training.run import run_dpo
    from q2a_core.training.stages import ABSENT_PAIRS, SAMPLED_PAIRS
    from q2a_core.training.stages import dpo as stage

    own = None if pairs is None else read_pairs(pairs)
    sampled = SAMPLED_PAIRS[budget] if sampled is None else sampled
    if absent is None:
        absent = ABSENT_PAIRS[budget] if sampled else 0
    config = configured(
        stage,
        budget,
        steps=steps,
        learning_rate=learning_rate,
        part_rates=part_rate,
        optimizer=optimizer,
        start=start,
        batch_size=batch_size,
        accumulate=accumulate,
        beta=beta,
        nll_weight=nll_weight,
        seed=seed,
    )
    with bar("sampling", "pairs") as on_pairs:
        run_to_end(
            config,
            run,
            resume,
            workers,
            precision,
            partial(run_dpo, pairs=own, sampled=sampled, absent=absent),
            on_pairs,
        )


app.command()(trained_weights.average)
app.command()(trained_weights.export)
