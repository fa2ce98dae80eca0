"""`q2a eval` and `q2a bench`: how good, and how fast."""

import json
from pathlib import Path
from typing import Annotated

import typer

from q2a_core.cli.progress import bar


def evaluate(
    model: Annotated[str, typer.Option(help="Shipped name, directory or hub id.")] = "mini",
    count: Annotated[int, typer.Option(min=3, help="Clips in each suite.")] = 120,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    output: Annotated[Path | None, typer.Option(help="Also write the JSON report here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Score a checkpoint on held-out clips, each suite beside its control with the clips swapped.

    Example: q2a eval --count 120
    """
    from q2a_core.checkpoint import open_checkpoint
    from q2a_core.evaluation.runner import evaluate as run
    from q2a_core.evaluation.runner import to_markdown

    checkpoint = open_checkpoint(model)
    with bar("evaluating", "clips") as update:
        report = run(checkpoint, count=count, device=device, on_progress=update)
    _hand_over(report, to_markdown(report), output, as_json)


def bench(
    model: Annotated[str, typer.Option(help="Shipped name, directory or hub id.")] = "mini",
    output: Annotated[Path | None, typer.Option(help="Also write the JSON report here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Time every step side by side with transformers on the same weights.

    Example: q2a bench --output bench.json
    """
    from q2a_core.bench.pipeline import run_pipeline, to_markdown

    with bar("measuring", "rows") as update:
        report = run_pipeline(checkpoint=model, on_progress=update)
    _hand_over(report, to_markdown(report), output, as_json)


def _hand_over(report: dict, table: str, output: Path | None, as_json: bool) -> None:
    text = json.dumps(report, indent=1, ensure_ascii=False)
    if output is not None:
        output.write_text(text + "\n", encoding="utf-8")
    typer.echo(text if as_json else table)
