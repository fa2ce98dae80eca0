"""`q2a train average` and `q2a train export`: checkpoints of what was trained."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from q2a_core.cli.outputs import check_unused

Replace = Annotated[
    bool, typer.Option("--replace", help="Write over a checkpoint that is already there.")
]


def average(
    checkpoints: Annotated[
        list[str],
        typer.Argument(help="Two or more, by name or folder; the first one's story goes on."),
    ],
    output: Annotated[Path, typer.Option(help="Where the checkpoint goes.")],
    replace: Replace = False,
) -> None:
    """Write the mean of some checkpoints' weights, of runs that went on from one another.

    Example: q2a train average mini-sft my_checkpoint --output my_average
    """
    from q2a_core.checkpoint import open_checkpoint
    from q2a_core.training.average import average as mean_of

    check_unused(output, replace=replace)
    typer.echo(f"checkpoint: {mean_of([open_checkpoint(name) for name in checkpoints], output)}")


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run, finished or not.")],
    output: Annotated[Path, typer.Argument(help="Where the checkpoint goes.")],
    replace: Replace = False,
) -> None:
    """Write the newest saved state of a run as a checkpoint that transformers opens too.

    Example: q2a train export my_run my_checkpoint
    """
    from q2a_core.training.export import export_newest
    from q2a_core.training.runs.layout import CHECKPOINT

    if output.resolve() != (run / CHECKPOINT).resolve():
        check_unused(output, replace=replace)
    told = partial(typer.echo, err=True)
    typer.echo(f"checkpoint: {export_newest(run, output, on_message=told)}")
