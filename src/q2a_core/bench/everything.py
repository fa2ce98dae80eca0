"""All that `q2a bench` measures: the pipeline beside transformers, attention beside PyTorch's, many chats, the 7B."""

from collections.abc import Iterable
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
    first_line,
    named,
)
from q2a_core.bench.report import to_markdown as pipeline_table
from q2a_core.errors import Q2AError
from q2a_core.progress import OnProgress, unheard


def run_bench(
    *,
    checkpoint: str | Path | None = "mini",
    repeats: int = 5,
    threads: int | None = None,
    only: Iterable[str] | None = None,
    on_progress: OnProgress = unheard,
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
            f"no checkpoint is opened by {' and '.join(names)}; leave {checkpoint} out, or measure other rows too"
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
    options: dict[str, Any] = {"repeats": repeats, "on_progress": on_progress}
    for name in names:
        if name in BESIDES:
            report[name] = _beside(name, checkpoint, threads, options)
    return report


def _beside(
    name: str, checkpoint: str | Path | None, threads: int | None, options: dict[str, Any]
) -> dict[str, Any]:
    """One of BESIDES; what it stops at, memory for instance, costs nobody the parts measured before it."""
    try:
        if name == ATTENTION:
            from q2a_core.bench.attention import run_attention

            return run_attention(threads=threads, **options)
        if name == SERVE:
            from q2a_core.bench.serve import run_serve
            from q2a_core.inference import AudioChat

            chat = AudioChat.from_pretrained(checkpoint or "mini")
            rounds, on_progress = options["repeats"], options["on_progress"]
            return run_serve(chat, rounds=rounds, threads=threads, on_progress=on_progress)
        if name == GROWTH:
            from q2a_core.bench.growth import run_growth

            return run_growth(checkpoint, threads=threads, **options)
        from q2a_core.bench.large import run_where_it_fits

        return run_where_it_fits(**options)
    except RuntimeError as error:
        return {"not_measured": f"stopped: {first_line(error).rstrip('.')}"}


def to_markdown(report: dict[str, Any]) -> str:
    """The tables of all that was measured."""
    from q2a_core.bench import attention_table, growth, large, serve

    table_of = {
        ATTENTION: attention_table.to_markdown,
        SERVE: serve.to_markdown,
        GROWTH: growth.to_markdown,
        LARGE: large.to_markdown,
    }
    tables = [pipeline_table(report)] if "rows" in report else []
    for name in BESIDES:
        if name not in report:
            continue
        if "not_measured" in report[name]:
            tables.append(f"{BESIDES[name]}: not measured; it {report[name]['not_measured']}.")
            continue
        tables.append(table_of[name](report[name]))
    return "\n\n".join(tables)
