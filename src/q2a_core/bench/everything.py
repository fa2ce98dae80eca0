"""All that `q2a bench` measures: the pipeline beside transformers, attention beside PyTorch's, many chats, the 7B."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from q2a_core.bench.report import (
    ATTENTION,
    BESIDES,
    GROWTH,
    LARGE,
    ROWS,
    SERVE,
    TOGETHER,
    WITHOUT_CHECKPOINT,
    check_counts,
    named,
)
from q2a_core.bench.report import to_markdown as pipeline_table
from q2a_core.errors import Q2AError


def run_bench(
    *,
    checkpoint: str | Path | None = "mini",
    repeats: int = 5,
    threads: int | None = None,
    only: Iterable[str] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Measure what `only` names, rows of the pipeline or one of BESIDES, or everything; a JSON-ready report.

    Attention alone needs no transformers; the real size needs a large GPU, and says so where there is none. Raises
    Q2AError as the parts do.
    """
    names = named(only, known=(*ROWS, *BESIDES), together=TOGETHER)
    rows = [name for name in names if name in ROWS]
    check_counts(repeats, threads)
    if checkpoint not in (None, "mini") and set(names) <= set(WITHOUT_CHECKPOINT):
        raise Q2AError(
            f"{' and '.join(names)} open no checkpoint; leave {checkpoint} out, or measure other rows too"
        )
    report: dict[str, Any] = {}
    if rows:
        from q2a_core.bench.pipeline import run_pipeline

        report = run_pipeline(
            checkpoint=checkpoint,
            repeats=repeats,
            threads=threads,
            only=rows,
            on_progress=on_progress,
        )
    if ATTENTION in names:
        from q2a_core.bench.attention import run_attention

        report[ATTENTION] = run_attention(repeats=repeats, threads=threads, on_progress=on_progress)
    if SERVE in names:
        from q2a_core.bench.serve import run_serve
        from q2a_core.inference import AudioChat

        report[SERVE] = run_serve(
            AudioChat.from_pretrained(checkpoint or "mini"),
            rounds=repeats,
            threads=threads,
            on_progress=on_progress,
        )
    if GROWTH in names:
        from q2a_core.bench.growth import run_growth

        report[GROWTH] = run_growth(
            checkpoint, repeats=repeats, threads=threads, on_progress=on_progress
        )
    if LARGE in names:
        from q2a_core.bench.large import run_where_it_fits

        report[LARGE] = run_where_it_fits(repeats=repeats, on_progress=on_progress)
    return report


def to_markdown(report: dict[str, Any]) -> str:
    """The tables of all that was measured."""
    tables = [pipeline_table(report)] if "rows" in report else []
    if ATTENTION in report:
        from q2a_core.bench.attention import to_markdown as attention_table

        tables.append(attention_table(report[ATTENTION]))
    if SERVE in report:
        from q2a_core.bench.serve import to_markdown as serve_table

        tables.append(serve_table(report[SERVE]))
    if GROWTH in report:
        from q2a_core.bench.growth import to_markdown as growth_table

        tables.append(growth_table(report[GROWTH]))
    if LARGE in report:
        from q2a_core.bench.large import to_markdown as large_table

        tables.append(large_table(report[LARGE]))
    return "\n\n".join(tables)
