"""`q2a eval` and `q2a bench`: how good, and how fast."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from q2a_core.cli.eval_run import evaluate_to_end
from q2a_core.cli.outputs import check_apart, check_writable, hand_over
from q2a_core.cli.outside_judge import judge_endpoint
from q2a_core.cli.progress import bar
from q2a_core.errors import Q2AError

PLOTS = (".png", ".svg", ".pdf")


def evaluate(
    model: Annotated[str, typer.Option(help="Shipped name, directory or hub id.")] = "mini",
    suite: Annotated[
        Literal["auto", "first", "mini", "prompts"],
        typer.Option(
            help="first: the first world; mini: the mini Table 2; prompts: wordings and combinations that training "
            "never saw; auto: what it knows."
        ),
    ] = "auto",
    count: Annotated[int | None, typer.Option(min=3, help="Clips in each suite.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="This suite of the mini Table 2 alone; may be given several times."),
    ] = None,
    clips: Annotated[
        Path | None, typer.Option(help="Folder with recordings of your own, instead of a suite.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="JSONL with the truth of each recording.")
    ] = None,
    judge_url: Annotated[
        str | None,
        typer.Option(
            help="Let a language model mark the chat suites too: an OpenAI-compatible base URL."
        ),
    ] = None,
    judge_model: Annotated[
        str | None, typer.Option(help="The judge's name there; AIR-Bench's is gpt-4-0125-preview.")
    ] = None,
    judge_key: Annotated[
        str | None, typer.Option(help="Environment variable that holds the judge's API key.")
    ] = None,
    replies: Annotated[
        Path | None, typer.Option(help="Keep replies here, and go on from them after a stop.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    output: Annotated[Path | None, typer.Option(help="Also write the JSON report here.")] = None,
    readme: Annotated[
        Path | None, typer.Option(help="Also write the table between this file's results marks.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Score a checkpoint on held-out clips, each suite beside its control with the clips swapped.

    Example: q2a eval --suite mini --output results.json
    """
    endpoint = judge_endpoint(judge_url, judge_model, judge_key)
    _check_choice(suite, count, only, clips, manifest, judged=endpoint is not None)
    check_apart(
        {"--manifest": manifest, "--replies": replies, "--output": output, "--readme": readme}
    )
    evaluate_to_end(
        model,
        suite,
        count=count,
        only=only,
        clips=clips,
        manifest=manifest,
        endpoint=endpoint,
        replies=replies,
        device=device,
        output=output,
        readme=readme,
        as_json=as_json,
    )


def _check_choice(
    suite: str,
    count: int | None,
    only: list[str] | None,
    clips: Path | None,
    manifest: Path | None,
    *,
    judged: bool,
) -> None:
    """Raises Q2AError for options that do not go together."""
    other = clips is not None or suite in ("first", "prompts")
    if judged and other:
        raise Q2AError(
            "--judge-url marks the chat suites of the mini Table 2; leave out --clips and other --suites"
        )
    if (clips is None) != (manifest is None):
        raise Q2AError(
            "--clips and --manifest go together: a folder, and the truth of what is in it"
        )
    if only and other:
        raise Q2AError(
            "--only names suites of the mini Table 2; leave out --clips and other --suites"
        )
    if clips is not None and (suite != "auto" or count is not None):
        raise Q2AError(
            "--clips asks about each line of the manifest once; leave out --suite and --count"
        )


def bench(
    model: Annotated[str, typer.Option(help="Shipped name, directory or hub id.")] = "mini",
    only: Annotated[
        str | None,
        typer.Option(
            help="Some rows, with commas: first_token,decode (both: generate),train,mel,encoder,ragged,"
            "attention,serve,growth,large."
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs of each side.")] = 5,
    threads: Annotated[int | None, typer.Option(min=1, help="Torch's threads.")] = None,
    output: Annotated[Path | None, typer.Option(help="Also write the JSON report here.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the growth rows: a .png, .svg or .pdf file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Time every step side by side with transformers on the same weights.

    Example: q2a bench --only decode --repeats 3
    """
    from q2a_core.bench.everything import run_bench, to_markdown
    from q2a_core.bench.report import GROWTH

    rows = None if only is None else [name.strip() for name in only.split(",")]
    if plot is not None:
        _check_plot(plot, rows)
    check_apart({"--output": output, "--plot": plot})
    if output is not None:
        check_writable(output)
    with bar("measuring", "rows") as update:
        report = run_bench(
            checkpoint=model,
            repeats=repeats,
            threads=threads,
            only=rows,
            on_progress=update,
        )
    hand_over(report, to_markdown(report), output, as_json)
    if plot is not None:
        from q2a_core.inspection.figures.growth import figure_growth

        if "not_measured" in report[GROWTH]:
            raise Q2AError(f"nothing to plot: growth {report[GROWTH]['not_measured']}")
        figure_growth(report[GROWTH]).savefig(plot)


def _check_plot(plot: Path, rows: list[str] | None) -> None:
    """Refuse before minutes are spent what could not be drawn after them."""
    from q2a_core.bench.report import GROWTH

    if rows is not None and GROWTH not in rows:
        raise Q2AError(f"--plot draws the rows `{GROWTH}`; add them to --only")
    if plot.suffix.lower() not in PLOTS:
        raise Q2AError(f"{plot.name} ends in {plot.suffix!r}; expected one of {', '.join(PLOTS)}")
    check_writable(plot)
