"""The judge of AIR-Bench's chat half: a large text model that reads about a clip and marks two answers from 0 to 10.

    description, question, first and second answer --> "7 9", and once more with the answers swapped --> the averages

Swapping takes out the judge's liking for a position, and the report shows how large it is. A reply that isn't two
marks, a refusal and a request that failed are counted apart; such an item has no figure, and nothing is filled in.
The prompt is our own wording of the published protocol.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from q2a_core.errors import Q2AError
from q2a_core.evaluation.judge_endpoint import Endpoint, Refused, RequestFailed, complete
from q2a_core.evaluation.metrics import mean
from q2a_core.evaluation.replies import ReplyKey, ReplyStore, text_hash
from q2a_core.progress import OnProgress, unheard

SYSTEM = "You are a fair and careful examiner of answers about audio clips."
PROMPT = """\
Two assistants listened to the same audio clip and answered the same question about it. You cannot hear the clip; a
thorough description of it is given instead. Take the description as the truth.

[Description of the clip]
{description}

[Question]
{question}

[Answer of assistant 1]
{first}

[Answer of assistant 2]
{second}

Mark each answer from 0 (useless) to 10 (excellent) for how helpful, relevant, accurate and complete it is. Do not let
the order of the answers or their length sway you. Write exactly one line that holds two numbers parted by a space:
the mark of assistant 1, then the mark of assistant 2. Write nothing else."""

_NUMBER = r"(\d+(?:\.\d+)?)"
_MARKS = re.compile(rf"\s*{_NUMBER}(?:\s*[,;]\s*|\s+){_NUMBER}\s*\.?\s*")
OUTCOMES = ("scored", "unparsable", "refused", "failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeItem:
    """One question about a clip, with the true answer and the model's."""

    name: str
    """Which item it is."""
    category: str
    """speech, sound, music or mixed."""
    description: str
    """What the clip holds, in words: the judge hears nothing."""
    question: str
    reference: str
    """The true answer."""
    reply: str
    """The model's answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FairMarks:
    """What is left of two rounds once places are averaged out."""

    reference: float
    reply: float
    lead_of_first: float
    """How many marks the first place gains on average, whoever stands there."""


def judge_messages(item: JudgeItem, *, swapped: bool) -> list[dict[str, str]]:
    """What the judge is sent; the reference comes first unless swapped."""
    first, second = (item.reply, item.reference) if swapped else (item.reference, item.reply)
    prompt = PROMPT.format(
        description=item.description, question=item.question, first=first, second=second
    )
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]


def parse_marks(text: str) -> tuple[float, float] | None:
    """The two marks of the first line that is two numbers from 0 to 10 and nothing else; None without one."""
    for line in text.splitlines():
        if found := _MARKS.fullmatch(line):
            marks = float(found[1]), float(found[2])
            return marks if max(marks) <= 10 else None
    return None


def fair_marks(straight: tuple[float, float], swapped: tuple[float, float]) -> FairMarks:
    """Both rounds in one: the marks of the first and the second place, reference first, then reply first."""
    (reference_first, reply_second), (reply_first, reference_second) = straight, swapped
    return FairMarks(
        reference=(reference_first + reference_second) / 2,
        reply=(reply_first + reply_second) / 2,
        lead_of_first=((reference_first - reply_second) + (reply_first - reference_second)) / 2,
    )


def mark_items(
    endpoint: Endpoint,
    items: Sequence[JudgeItem],
    *,
    store: ReplyStore | None = None,
    on_progress: OnProgress = unheard,
) -> dict[str, Any]:
    """Every item marked in both positions, and the means by category, as a JSON-ready report.

    Answers of the judge are kept in `store`, so that a run that ends early pays for none twice. Raises Q2AError if the
    endpoint turns us away, or if the first request fails for good.
    """
    store = ReplyStore() if store is None else store
    marked = []
    for done, item in enumerate(items):
        on_progress(done, len(items))
        marked.append(_mark(endpoint, item, store, is_first=not done))
    on_progress(len(items), len(items))
    return {
        "judge": {"model": endpoint.model, "host": endpoint.host},
        "conditions": {
            "protocol": "AIR-Bench chat: 0 to 10, positions swapped and averaged",
            "prompt": text_hash(SYSTEM + PROMPT),
            "temperature": endpoint.temperature,
            "intervals": "95 %, bootstrap over items",
        },
        "counts": {name: sum(row["outcome"] == name for row in marked) for name in OUTCOMES},
        "rows": _rows(marked),
        "items": marked,
    }


def _mark(
    endpoint: Endpoint, item: JudgeItem, store: ReplyStore, *, is_first: bool
) -> dict[str, Any]:
    """One item in both positions; its outcome is that of the first position that went wrong."""
    row: dict[str, Any] = {"item": item.name, "category": item.category, "outcome": "scored"}
    row["said"] = []
    positions = []
    for swapped in (False, True):
        outcome, said = _ask(endpoint, item, store, swapped=swapped)
        if outcome == "failed" and is_first and not swapped:
            raise Q2AError(f"the judge at {endpoint.host} does not answer: {said}")
        row["said"].append(said)
        marks = parse_marks(said) if outcome == "scored" else None
        if marks is None:
            row["outcome"] = "unparsable" if outcome == "scored" else outcome
            return row
        positions.append(marks)
    return row | asdict(fair_marks(*positions))


def _ask(
    endpoint: Endpoint, item: JudgeItem, store: ReplyStore, *, swapped: bool
) -> tuple[str, str]:
    """How a request ended, and what the judge said or why it said nothing."""
    messages = judge_messages(item, swapped=swapped)
    key = ReplyKey(
        checkpoint=f"{endpoint.model} at {endpoint.host}",
        suite="AIR-Bench judge",
        item=item.name,
        prompt=text_hash(messages[0]["content"] + messages[1]["content"]),
        decoding=f"temperature {endpoint.temperature}",
    )
    known = store.get(key)
    if known is not None:
        return "scored", known
    try:
        said = complete(endpoint, messages)
    except Refused as error:
        return "refused", str(error)
    except RequestFailed as error:
        return "failed", str(error)
    store.put(key, said)
    return "scored", said


def _rows(marked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means of the reply and the reference in each category and over all, and how much the first position gains."""
    scored = [row for row in marked if row["outcome"] == "scored"]
    categories = list(dict.fromkeys(row["category"] for row in scored))
    rows = []
    for category in [*categories, "all"]:
        group = [row for row in scored if category in (row["category"], "all")]
        rows.append(
            {
                "suite": f"AIR-Bench chat, {category}",
                "metric": "judge 0-10",
                "score": asdict(mean([row["reply"] for row in group])),
                "reference": asdict(mean([row["reference"] for row in group])),
                "lead_of_first": asdict(mean([row["lead_of_first"] for row in group])),
            }
        )
    return rows
