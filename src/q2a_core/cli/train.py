"""`q2a train`: the stages."""

import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from q2a_core import paths
from q2a_core.cli.progress import bar

app = typer.Typer(
    help="Train a stage on the mini world; stop with Ctrl-C, go on with --resume.",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """Keeps `pretrain` a subcommand while it is the only one."""


@app.command()
def pretrain(
    run: Annotated[
        Path | None, typer.Option(help="Folder of the run; by default one among your runs.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps of 16 clips.")] = 4800,
    batch_size: Annotated[int, typer.Option(min=1)] = 16,
    learning_rate: Annotated[float, typer.Option(min=0.0)] = 1e-3,
    utterances: Annotated[
        int, typer.Option(min=100, help="Spoken phrases to synthesise once.")
    ] = 12_000,
    seed: Annotated[int, typer.Option(help="Decides weights, scenes and wording.")] = 0,
    start: Annotated[
        str | None, typer.Option(help="Checkpoint to go on from; fresh weights by default.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make batches.")] = 1,
    precision: Annotated[str, typer.Option(help="no or bf16.")] = "no",
) -> None:
    """Train encoder, projector and decoder together on the mini world.

    Example: q2a train pretrain --run my_run --steps 200
    """
    from q2a_core.training.stages import pretrain as stage

    config = stage(
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        utterances=utterances,
        seed=seed,
    )
    _run(config, run or paths.runs_dir() / "pretrain", start, resume, workers, precision)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run, finished or not.")],
    output: Annotated[Path, typer.Argument(help="Where the checkpoint goes.")],
) -> None:
    """Write the newest saved state of a run as a checkpoint that transformers opens too.

    Example: q2a train export my_run my_checkpoint
    """
    from q2a_core.training.run import export_newest

    typer.echo(f"checkpoint: {export_newest(run, output)}")


def _run(
    config: Any, run: Path, start: str | None, resume: bool, workers: int, precision: str
) -> None:
    from q2a_core.training.loop import Hooks, Progress
    from q2a_core.training.run import run_stage

    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        typer.echo("stopping after this step ...", err=True)

    previous = signal.signal(signal.SIGINT, stop)
    try:
        with bar("speech", "phrases") as on_speech, bar(config.name, "steps") as on_step:

            def show(progress: Progress) -> None:
                on_step(progress.step, progress.steps)

            hooks = Hooks(
                on_progress=show,
                should_stop=lambda: stopping,
                on_message=lambda message: typer.echo(message, err=True),
                workers=workers,
            )
            checkpoint = run_stage(
                config,
                run,
                start=start,
                resume=resume,
                hooks=hooks,
                precision=precision,
                on_speech=on_speech,
            )
    finally:
        signal.signal(signal.SIGINT, previous)
    typer.echo(f"checkpoint: {checkpoint}")
    if stopping:
        typer.echo("stopped early; go on with --resume", err=True)
