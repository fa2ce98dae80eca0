"""What `q2a eval` does once its options are read: ask, keep the replies, have them judged, print, write."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from q2a_core.cli.outputs import check_writable, hand_over
from q2a_core.cli.outside_judge import mark_chats
from q2a_core.cli.progress import bar
from q2a_core.errors import Q2AError

if TYPE_CHECKING:
    from q2a_core.checkpoint import Checkpoint
    from q2a_core.evaluation.judge_endpoint import Endpoint
    from q2a_core.evaluation.replies import ReplyStore


def evaluate_to_end(
    model: str,
    suite: str,
    *,
    count: int | None,
    only: list[str] | None,
    clips: Path | None,
    manifest: Path | None,
    endpoint: "Endpoint | None",
    replies: Path | None,
    device: str,
    output: Path | None,
    readme: Path | None,
    as_json: bool,
) -> None:
    """Score a checkpoint with a suite, or on the recordings in `clips`, and hand the report over.

    What could not be written in the end is refused before anything is asked, and a judge that fails loses no reply.
    Raises Q2AError.
    """
    from q2a_core.checkpoint import open_checkpoint
    from q2a_core.evaluation.chosen_suite import suite_for
    from q2a_core.evaluation.replies import ReplyStore
    from q2a_core.evaluation.tables import judge_table, read_with_marks, write_results

    if output is not None:
        check_writable(output)
    if readme is not None:
        read_with_marks(readme)
    checkpoint = open_checkpoint(model)
    meant = "mini" if only else suite_for(checkpoint, suite)
    if endpoint is not None and meant == "first":
        raise Q2AError(f"{model} knows only the first world, which has no chat suites to mark")
    if clips is None and meant == "first" and replies is not None:
        raise Q2AError("the first world's suites keep no replies; leave out --replies")
    store = ReplyStore(replies)
    if replies is not None and store.skipped:
        typer.echo(
            f"note: {replies.name}: lines that hold no whole reply, and were skipped: {store.skipped}",
            err=True,
        )
    if clips is not None and manifest is not None:
        report, table = _score_recordings(checkpoint, clips, manifest, store, device)
        answered = {}
    else:
        report, table, answered = _ask_suites(checkpoint, meant, count, only, store, device)
    if endpoint is not None:
        try:
            with bar("judging", "replies") as update:
                marks = mark_chats(endpoint, answered, store, on_progress=update)
        except Q2AError:
            hand_over(report, table, output, as_json)
            raise
        report |= {"external_judge": marks}
        table += "\n" + judge_table(marks)
    hand_over(report, table, output, as_json)
    if readme is not None:
        write_results(readme, table)


def _score_recordings(
    checkpoint: "Checkpoint", clips: Path, manifest: Path, store: "ReplyStore", device: str
) -> tuple[dict[str, Any], str]:
    """The report and its table."""
    from q2a_core.evaluation.recordings import score_recordings, troubled_clips
    from q2a_core.evaluation.tables import report_table

    with bar("evaluating", "clips") as update:
        report = score_recordings(
            checkpoint, clips, manifest, store=store, device=device, on_progress=update
        )
        return report, report_table(report, beside={}) + troubled_clips(report)


def _ask_suites(
    checkpoint: "Checkpoint",
    suite: str,
    count: int | None,
    only: list[str] | None,
    store: "ReplyStore",
    device: str,
) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """The report, its table, and the replies by suite."""
    from q2a_core.evaluation.chosen_suite import evaluate_suite

    answered: dict[str, Any] = {}
    with bar("evaluating", "clips") as update:
        report, table = evaluate_suite(
            checkpoint,
            suite,
            count=count,
            only=only,
            store=store,
            device=device,
            on_answered=answered.__setitem__,
            on_progress=update,
        )
    return report, table, answered
