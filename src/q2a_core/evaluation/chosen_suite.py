"""The suites by name, as every face asks for them: which one a checkpoint is measured with, and how many clips."""

from collections.abc import Callable
from typing import Any

from q2a_core.checkpoint import Checkpoint
from q2a_core.evaluation.replies import ReplyStore
from q2a_core.evaluation.tables import report_table
from q2a_core.progress import OnProgress, unheard

MINI_COUNT, FIRST_COUNT = 100, 120
"""Clips in each suite where nobody says how many."""


def suite_for(checkpoint: Checkpoint, suite: str) -> str:
    """The suite that is meant: with "auto" the mini Table 2 for a checkpoint that knows its world, else "first"."""
    if suite != "auto":
        return suite
    return "mini" if "languages" in checkpoint.about else "first"


def evaluate_suite(
    checkpoint: Checkpoint,
    suite: str,
    *,
    count: int | None = None,
    only: list[str] | None = None,
    store: ReplyStore | None = None,
    device: str = "cpu",
    on_answered: Callable[[str, Any], None] = lambda name, answered: None,
    on_progress: OnProgress = unheard,
) -> tuple[dict[str, Any], str]:
    """The report of "first", "mini" or "prompts", and its table in Markdown.

    `only` names suites of the mini Table 2, which then have no controls beside them. Raises Q2AError for others.
    """
    if suite == "first":
        from q2a_core.evaluation.first_world import evaluate, to_markdown

        report = evaluate(
            checkpoint, count=count or FIRST_COUNT, device=device, on_progress=on_progress
        )
        return report, to_markdown(report)
    from q2a_core.evaluation.mini_suites import MINI_SUITES, suites_named
    from q2a_core.evaluation.mini_table import HELD_OUT, evaluate_mini
    from q2a_core.evaluation.prompt_suites import asked_in, prompt_suites, trained_on_tags

    chosen, prompts = (suites_named(only) if only else MINI_SUITES), HELD_OUT
    if suite == "prompts":
        tags = trained_on_tags(checkpoint)
        chosen, prompts = prompt_suites(tags=tags), asked_in(tags=tags)
    report = evaluate_mini(
        checkpoint,
        count=count or MINI_COUNT,
        suites=chosen,
        prompts=prompts,
        controls=not only and suite != "prompts",
        store=store,
        device=device,
        on_answered=on_answered,
        on_progress=on_progress,
    )
    return report, report_table(report)
