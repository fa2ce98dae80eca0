"""Lines of the manifests that `q2a synth` writes, as lines of a manifest for `q2a eval --clips`.

A line of made clips holds a dialogue, of which the first question is asked: what was recognised, translated or named is
scored by its task, a thing that may be there by yes or no, and everything else as a question whose true answer the
reply must hold word for word. A line of the shipped clips holds what to ask, `ask`, and the answer.
"""

import re
from typing import Any

from q2a_core.errors import Q2AError
from q2a_core.world.answers import NO_SPEECH, bare

NAMED = {
    "name_sound": ("sound", "This is the sound of "),
    "instrument": ("music", "This is "),
    "count": ("question", "It happens "),
}
"""Task to the manifest's own, and what its answer says before the truth."""
KEYWORDS = ("emotion", "vocal")
"""Tasks that are answered by a keyword, or by a sentence where they were asked in other words."""
_YES_OR_NO = re.compile(r"(Yes|No), there is ")
_CHINESE = re.compile("[\u4e00-\u9fff]")


def plain_line(row: dict[str, Any]) -> dict[str, Any]:
    """The line with file, task, truth, language and prompt; unchanged unless `q2a synth` wrote it. Raises Q2AError."""
    if "sounds" not in row:
        return row
    if isinstance(row.get("dialogue"), list):
        turns = row["dialogue"]
        question, answer = _first_turn(turns)
        names = row.get("turns") or ([row.get("task")] if len(turns) == 2 else ["question"])
        task, truth = _scored_as(names[0] if isinstance(names, list) else None, answer)
        language = row.get("language") if task in ("transcribe", "translate") else None
    elif "ask" in row and "task" not in row:
        question, answer = row["ask"], row.get("answer")
        task, truth = _scored_as("question", answer)
        language = None
    else:
        return row
    if language is None:
        language = "zh" if isinstance(truth, str) and _CHINESE.search(truth) else "en"
    line = {"file": row.get("file"), "task": task, "answer": truth, "language": language}
    return line | {"prompt": question}


def _first_turn(turns: list[Any]) -> tuple[Any, Any]:
    """The first question, None for the clip alone, and its answer."""
    try:
        asked, answered = turns[0]["content"], turns[1]["content"]
        words = [part["text"] for part in asked if part["type"] == "text"]
        return (words[0] if words else None), answered
    except (IndexError, KeyError, TypeError) as error:
        raise Q2AError(
            "the dialogue is not as q2a synth writes it; expected a question about the clip and its answer"
        ) from error


def _scored_as(name: Any, answer: Any) -> tuple[str, Any]:
    """The manifest's task and truth for what a line of ours asks."""
    if not isinstance(answer, str):
        return "question", answer
    if found := _YES_OR_NO.match(answer):
        return "question", found[1].lower()
    if not isinstance(name, str):
        return "question", answer
    if name in NAMED and answer.startswith(NAMED[name][1]):
        task, before = NAMED[name]
        return task, bare(answer.removeprefix(before).rstrip("."))
    if name in ("transcribe", "translate") and answer != NO_SPEECH:
        return name, answer
    if name in KEYWORDS and " " not in answer:
        return name, answer
    return "question", answer
