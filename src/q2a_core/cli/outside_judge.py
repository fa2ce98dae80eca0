"""A language model as the judge of the chat suites: what `q2a eval --judge-url` asks of it."""

from typing import TYPE_CHECKING, Any

from q2a_core.errors import Q2AError
from q2a_core.progress import OnProgress

if TYPE_CHECKING:
    from q2a_core.evaluation.judge_endpoint import Endpoint
    from q2a_core.evaluation.mini_suite import Answered
    from q2a_core.evaluation.replies import ReplyStore


def judge_endpoint(url: str | None, model: str | None, key: str | None) -> "Endpoint | None":
    """Where the judge is, looked at before anything is asked of the checkpoint; None if none is named.

    Raises Q2AError for options that do not go together, a URL that is none and an empty key.
    """
    if url is None and model is None and key is None:
        return None
    if url is None or model is None:
        raise Q2AError(
            "--judge-url and --judge-model go together: where the judge is, and its name there"
        )
    from q2a_core.evaluation.judge_endpoint import Endpoint

    endpoint = Endpoint(base_url=url, model=model, key_variable=key)
    endpoint.key()
    return endpoint


def mark_chats(
    endpoint: "Endpoint",
    answered: "dict[str, Answered]",
    store: "ReplyStore",
    *,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """The judge's report on the chat suites; raises Q2AError if it turns us away or none of them was asked."""
    from q2a_core.evaluation.external_judge import mark_items
    from q2a_core.evaluation.judged_chat import judge_items

    items = judge_items(answered)
    if not items:
        raise Q2AError("none of the suites is a chat suite; name one with --only, or leave it out")
    return mark_items(endpoint, items, store=store, on_progress=on_progress)
