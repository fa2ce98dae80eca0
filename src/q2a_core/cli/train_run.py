"""What a command of `q2a train` does once its options are read: one run, watched, stopped and reported."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import typer

from q2a_core import paths
from q2a_core.cli.progress import bar
from q2a_core.cli.stopping import Stopping


def configured(
    stage: Any, budget: str, *, part_rates: list[str] | None = None, **options: Any
) -> Any:
    """The stage as its budget has it; options that were set overrule it, None leaves it."""
    from q2a_core.training.stages import CLASS_BUDGET, FRESH_START, with_part_rates

    given = {name: value for name, value in options.items() if value is not None}
    if given.get("start") == FRESH_START:
        given["start"] = None
    config = stage(**(CLASS_BUDGET[stage.__name__] if budget == "class" else {}) | given)
    return with_part_rates(config, part_rates) if part_rates else config


def run_to_end(
    config: Any,
    run: Path | None,
    resume: bool,
    workers: int,
    precision: str,
    runner: Any = None,
    on_pairs: Any = None,
) -> None:
    """Train in the run's folder, with progress bars, until the last step or Ctrl-C; say where the checkpoint lies."""
    from q2a_core.training.runs.claim import check_folder
    from q2a_core.training.runs.presence import present

    folder = Path(os.path.abspath(run or paths.runs_dir() / config.name))
    finished = False
    fits = partial(check_folder, folder, config, resume=resume)
    with Stopping() as stopping, present(folder, fits) as presence:
        from q2a_core.training.clock import Progress
        from q2a_core.training.loop import Hooks
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
