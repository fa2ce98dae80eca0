"""`q2a train`: the stages."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from q2a_core import paths
from q2a_core.cli.progress import bar
from q2a_core.cli.stopping import Stopping

app = typer.Typer(
    help="Train a stage on the mini world; stop with Ctrl-C, go on with --resume.",
    no_args_is_help=True,
)


Run = Annotated[
    Path | None, typer.Option(help="Folder of the run; by default one among your runs.")
]
Steps = Annotated[
    int | None, typer.Option(min=1, help="Optimizer steps; the stage's own number by default.")
]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Dialogues in a micro-batch.")]
Accumulate = Annotated[int | None, typer.Option(min=1, help="Micro-batches in a step.")]
Rate = Annotated[
    float | None, typer.Option(min=0.0, help="Peak learning rate; the stage's own by default.")
]
Utterances = Annotated[int | None, typer.Option(min=100, help="Spoken phrases to synthesise once.")]
Seed = Annotated[int, typer.Option(min=0, help="Decides scenes, wording and order.")]
Start = Annotated[
    str | None, typer.Option(help="Checkpoint to go on from; fresh: weights drawn anew.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that make batches.")]
Precision = Annotated[str, typer.Option(help="no or bf16.")]
Flite = Annotated[
    bool, typer.Option("--flite", help="Let flite, if installed, speak some of the English.")
]
Optimizer = Annotated[
    Literal["adamw", "muon"] | None,
    typer.Option(help="What updates the matrices; the stage's own by default."),
]
Budget = Annotated[
    Literal["class", "full"],
    typer.Option(help="class: a little over a minute of training, for a lesson."),
]


@app.command(name="start")
def start_stage(
    run: Run = None,
    budget: Budget = "full",
    steps: Steps = None,
    batch_size: BatchSize = None,
    accumulate: Accumulate = None,
    learning_rate: Rate = None,
    optimizer: Optimizer = None,
    utterances: Utterances = None,
    flite: Flite = False,
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

    config = _stage(
        stage,
        budget,
        steps=steps,
        learning_rate=learning_rate,
        optimizer=optimizer,
        start=start,
        utterances=utterances,
        batch_size=batch_size,
        accumulate=accumulate,
        engines=("espeak", "flite") if flite else None,
        seed=seed,
    )
    _run(config, run, resume, workers, precision)


@app.command()
def pretrain(
    run: Run = None,
    budget: Budget = "full",
    steps: Steps = None,
    batch_size: BatchSize = None,
    accumulate: Accumulate = None,
    learning_rate: Rate = None,
    optimizer: Optimizer = None,
    utterances: Utterances = None,
    level: Annotated[
        Literal["first", "grown"], typer.Option(help="World that the clips come from.")
    ] = "grown",
    prompts: Annotated[
        Literal["natural", "tags"], typer.Option(help="How the tasks are worded.")
    ] = "natural",
    ramp: Annotated[
        int | None, typer.Option(min=1, help="Clips until the grown world is at its hardest.")
    ] = None,
    flite: Flite = False,
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

    config = _stage(
        stage,
        budget,
        steps=steps,
        learning_rate=learning_rate,
        optimizer=optimizer,
        start=start,
        utterances=utterances,
        batch_size=batch_size,
        accumulate=accumulate,
        level=level,
        prompts=prompts,
        ramp=ramp,
        engines=("espeak", "flite") if flite else None,
        seed=seed,
    )
    _run(config, run, resume, workers, precision)


@app.command()
def sft(
    run: Run = None,
    budget: Budget = "full",
    steps: Steps = None,
    batch_size: BatchSize = None,
    accumulate: Accumulate = None,
    learning_rate: Rate = None,
    optimizer: Optimizer = None,
    utterances: Utterances = None,
    flite: Flite = False,
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

    config = _stage(
        stage,
        budget,
        steps=steps,
        learning_rate=learning_rate,
        optimizer=optimizer,
        start=start,
        utterances=utterances,
        batch_size=batch_size,
        accumulate=accumulate,
        engines=("espeak", "flite") if flite else None,
        seed=seed,
    )
    _run(config, run, resume, workers, precision)


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
    from q2a_core.training.preferences import read_pairs
    from q2a_core.training.run import run_dpo
    from q2a_core.training.stages import ABSENT_PAIRS, SAMPLED_PAIRS
    from q2a_core.training.stages import dpo as stage

    own = None if pairs is None else read_pairs(pairs)
    sampled = SAMPLED_PAIRS[budget] if sampled is None else sampled
    if absent is None:
        absent = ABSENT_PAIRS[budget] if sampled else 0
    config = _stage(
        stage,
        budget,
        steps=steps,
        learning_rate=learning_rate,
        optimizer=optimizer,
        start=start,
        batch_size=batch_size,
        accumulate=accumulate,
        beta=beta,
        nll_weight=nll_weight,
        seed=seed,
    )
    with bar("sampling", "pairs") as on_pairs:
        _run(
            config,
            run,
            resume,
            workers,
            precision,
            partial(run_dpo, pairs=own, sampled=sampled, absent=absent),
            on_pairs,
        )


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run, finished or not.")],
    output: Annotated[Path, typer.Argument(help="Where the checkpoint goes.")],
) -> None:
    """Write the newest saved state of a run as a checkpoint that transformers opens too.

    Example: q2a train export my_run my_checkpoint
    """
    from q2a_core.training.export import export_newest

    typer.echo(f"checkpoint: {export_newest(run, output)}")


def _stage(stage: Any, budget: str, **options: Any) -> Any:
    """The stage as its budget has it; options that were set overrule it, None leaves it."""
    from q2a_core.training.stages import CLASS_BUDGET, FRESH_START

    given = {name: value for name, value in options.items() if value is not None}
    if given.get("start") == FRESH_START:
        given["start"] = None
    return stage(**(CLASS_BUDGET[stage.__name__] if budget == "class" else {}) | given)


def _run(
    config: Any,
    run: Path | None,
    resume: bool,
    workers: int,
    precision: str,
    runner: Any = None,
    on_pairs: Any = None,
) -> None:
    from q2a_core.training.presence import present

    folder = Path(os.path.abspath(run or paths.runs_dir() / config.name))
    finished = False
    with Stopping() as stopping, present(folder) as presence:
        from q2a_core.training.loop import Hooks, Progress
        from q2a_core.training.run import run_stage

        noted = {}
        if on_pairs is not None:
            noted["on_pairs"] = _both(on_pairs, presence.note("sampling"))
        with bar("speech", "phrases") as on_speech, bar(config.name, "steps") as on_step:

            def show(progress: Progress) -> None:
                nonlocal finished
                finished = progress.step == progress.steps
                on_step(progress.step, progress.steps)

            hooks = Hooks(
                on_begin=stopping.begin,
                on_progress=show,
                should_stop=lambda: stopping.asked,
                on_message=lambda message: typer.echo(message, err=True),
                workers=workers,
            )
            checkpoint = (runner or run_stage)(
                config,
                folder,
                resume=resume,
                hooks=hooks,
                precision=precision,
                on_speech=_both(on_speech, presence.note("speaking")),
                **noted,
            )
    if checkpoint is not None:
        typer.echo(f"checkpoint: {checkpoint}")
    if stopping.asked and not finished:
        typer.echo("stopped early; go on with --resume", err=True)


def _both(first: Any, second: Any) -> Any:
    """A progress callback that tells two listeners."""

    def tell(done: int, total: int) -> None:
        first(done, total)
        second(done, total)

    return tell
