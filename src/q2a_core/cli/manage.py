"""`q2a doctor`, `q2a info` and `q2a clean`: what is here, whether it works, and how to remove it."""

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from q2a_core import paths
from q2a_core.errors import Q2AError, RunError


def doctor(
    workshop: Annotated[
        bool, typer.Option("--workshop", help="Also check for a class, and predict its times.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON list; with --workshop one object.")
    ] = False,
) -> None:
    """Check this machine line by line; exit code 1 if something needed is missing.

    With --workshop it ends in one line to send back to the teacher.

    Example: q2a doctor
    """
    from dataclasses import asdict

    from q2a_core.teaching.readiness.doctor import format_checks, healthy, run_doctor

    if workshop:
        from q2a_core.cli.progress import bar
        from q2a_core.teaching.readiness.workshop import format_report, run_workshop_doctor

        with bar("speed test", "steps") as tick:
            report = run_workshop_doctor(on_progress=tick)
        typer.echo(json.dumps(report.to_dict()) if as_json else format_report(report))
        raise typer.Exit(0 if report.ok else 1)
    checks = run_doctor()
    typer.echo(
        json.dumps([asdict(check) for check in checks]) if as_json else format_checks(checks)
    )
    raise typer.Exit(0 if healthy(checks) else 1)


def info(
    checkpoint: Annotated[
        str | None, typer.Argument(help="Shipped name, directory or hub id.")
    ] = None,
    show_paths: Annotated[bool, typer.Option("--paths", help="Where files are kept.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Describe a checkpoint: parts, shapes, parameter counts, rates. Or list folders.

    Example: q2a info mini
    """
    if show_paths:
        folders = {
            "data_samples": paths.data_samples(),
            "workbench": paths.workbench(),
            "cache": paths.cache_dir(),
            "runs": paths.runs_dir(),
            "lessons": paths.lessons_dir(),
        }
        if as_json:
            typer.echo(json.dumps({name: str(path) for name, path in folders.items()}))
        else:
            typer.echo("\n".join(f"{name:<14}{path}" for name, path in folders.items()))
        return
    from q2a_core.checkpoint.describe import describe, format_description

    record = describe(checkpoint or "mini")
    typer.echo(json.dumps(record) if as_json else format_description(record))


def clean(
    runs: Annotated[bool, typer.Option("--runs", help="Remove training runs as well.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove what can be made again (cached speech); with --runs also your training runs. Not while one trains.

    Example: q2a clean --yes
    """
    from q2a_core.training.runs.presence import is_held

    own = paths.runs_dir()
    for run in sorted(own.iterdir()) if own.is_dir() else ():
        if is_held(run):
            raise RunError(f"{run} is being trained and reads this; wait for it or stop it first")
    folders = [paths.cache_dir()] + ([paths.runs_dir()] if runs else [])
    present = [folder for folder in folders if folder.is_dir()]
    if common := [str(folder) for folder in present if folder.parent == Path.home()]:
        raise Q2AError(
            f"{' and '.join(common)}: with Q2A_HOME as your home folder, other programs may keep things there too; "
            "look through them and remove by hand what q2a made (speech in the cache, and runs)"
        )
    if not present:
        typer.echo("nothing to remove")
        return
    for folder in present:
        typer.echo(f"{folder}  {_size(folder) / 2**20:.1f} MB")
    if yes or typer.confirm("Remove?"):
        for folder in present:
            # what is a link may lead to another disk: it stays, and leads to an empty folder
            for path in folder.iterdir() if folder.is_symlink() else [folder]:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        typer.echo("removed")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
