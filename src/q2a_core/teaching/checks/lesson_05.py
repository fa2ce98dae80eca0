"""Lesson 05: which tokens of a dialogue are learned from, labels for them, and the control of a probe."""

from collections.abc import Callable
from typing import Any

import numpy as np

from q2a_core.teaching.checks.mistakes import named
from q2a_core.teaching.checks.numbers import agree, not_one_number, number
from q2a_core.teaching.exercise import Exercise, Verdict, call, passed, wrong

END = "<|im_end|>"
SHUFFLES = 8
LABELS = (0,) * 9 + (1,) * 5
"""Uneven on purpose: a control that draws labels anew gives itself away."""
CONSTANT_SCORES = (0.25, 0.75, 0.5, 0.375, 0.625, 0.875, 0.4375, 0.3125)


def judge_mask(answer: Any) -> Verdict:
    """True on the assistant's own tokens and the token that ends its turn."""
    cases = _mask_cases()
    found, due = [], []
    for _, turns in cases:
        mask = call(answer, [(turn.role, list(turn.pieces)) for turn in turns])
        total = sum(len(turn.pieces) for turn in turns)
        values = _bools(mask)
        if values is None:
            return wrong(
                f"the answer is a {type(mask).__name__}; expected a list of True and False, one a token."
            )
        if len(values) != total:
            return wrong(
                f"your mask has {len(values)} entries for a dialogue of {total} tokens; every token of every turn "
                "needs one, those of the prompt too."
            )
        found.append(values)
        due.append([kept for turn in turns for kept in turn.mask])
    wrong_places = [k for k, (a, b) in enumerate(zip(found, due, strict=True)) if a != b]
    rows = tuple(
        (name, f"{sum(a)} of {len(a)}", f"{sum(b)} of {len(b)}")
        for (name, _), a, b in zip(cases, found, due, strict=True)
    )
    if not wrong_places:
        return passed("Everything else is read, and nothing is learned from it.", rows=rows)
    mistakes = {
        message: [make(turns) for _, turns in cases] for message, make in MASK_MISTAKES.items()
    }
    message = named(found, mistakes) or (
        "wrong in "
        + ", ".join(cases[k][0] for k in wrong_places)
        + ": count from after the line break that ends "
        "the header up to the token that ends the turn."
    )
    first = wrong_places[0]
    return wrong(
        message,
        rows=rows,
        yours=np.array(found[first], dtype=float),
        expected=np.array(due[first], dtype=float),
    )


def _mask_cases() -> list[tuple[str, list[Any]]]:
    from q2a_core.teaching.turns import turns_of
    from q2a_core.text import user_message
    from q2a_core.world.mini_tokenizer import mini_chat_format

    def said(text: str) -> dict[str, Any]:
        return {"role": "assistant", "content": text}

    alone = [user_message(None, clips=1), said("I hear a dog.")]
    twice = [*alone, user_message("How many times?"), said("It happens twice.")]
    thrice = [*twice, user_message("Is there an assistant?"), said("No, there is no assistant.")]
    dialogues: list[tuple[str, list[Any], list[int]]] = [
        ("one turn", alone, [6]),
        ("text alone", [user_message("Hello"), said("Hello! Play me a sound.")], []),
        ("two turns", twice, [4]),
        ("three turns", thrice, [9]),
        ("a reply of two lines", [user_message("Sing.", clips=1), said("La la.\nLa la la.")], [3]),
    ]
    chat_format = mini_chat_format()
    return [(name, turns_of(list(m), chat_format, counts)) for name, m, counts in dialogues]


def _masked(turns: list[Any], keep: Callable[[Any, int, bool], bool]) -> list[bool]:
    """A mask from a rule over (turn, place in it, whether it is right to count it)."""
    return [keep(t, k, kept) for t in turns for k, kept in enumerate(t.mask)]


def _last_only(turns: list[Any]) -> list[bool]:
    return [kept and turn is turns[-1] for turn in turns for kept in turn.mask]


def _first_only(turns: list[Any]) -> list[bool]:
    first = next(turn for turn in turns if turn.role == "assistant")
    return [kept and turn is first for turn in turns for kept in turn.mask]


def _from_last_line(turns: list[Any]) -> list[bool]:
    """What counting from the last line break before the end gives: the first lines of a reply are lost."""
    mask = []
    for turn in turns:
        pieces = list(turn.pieces)
        last = max(k for k, piece in enumerate(pieces[:-1]) if piece == "\n")
        mask += [kept and k > last for k, kept in enumerate(turn.mask)]
    return mask


def _up_to_line(turns: list[Any]) -> list[bool]:
    """What stopping at the first line break after the header gives."""
    mask = []
    for turn in turns:
        breaks = [k for k, piece in enumerate(turn.pieces) if piece == "\n"]
        mask += [kept and (len(breaks) < 2 or k < breaks[1]) for k, kept in enumerate(turn.mask)]
    return mask


MASK_MISTAKES: dict[str, Callable[[list[Any]], list[bool]]] = {
    "the header of the turn is counted: the start token, the role and the line break are given to the model, which "
    "does not have to say them.": lambda turns: _masked(
        turns,
        lambda t, k, kept: t.role == "assistant" and k <= max(i for i, m in enumerate(t.mask) if m),
    ),
    "the whole turn of the assistant is counted: its header is given, and the line break after its end belongs to "
    "the template.": lambda turns: _masked(turns, lambda t, k, kept: t.role == "assistant"),
    "the line break after the end token is counted: generation stops before it.": lambda turns: (
        _masked(
            turns, lambda t, k, kept: kept or (t.role == "assistant" and k == len(t.pieces) - 1)
        )
    ),
    "the end token is left out: a model that never learns to say it never stops.": lambda turns: (
        _masked(turns, lambda t, k, kept: kept and t.pieces[k] != END)
    ),
    "the end token of every turn is counted: those of the user's turns are given, not said.": lambda turns: (
        _masked(turns, lambda t, k, kept: kept or t.pieces[k] == END)
    ),
    "the user's turns are counted too: the model would learn to ask instead of to answer.": lambda turns: (
        _masked(turns, lambda t, k, kept: kept or t.role == "user")
    ),
    "only the last answer is counted: earlier answers of the assistant are its own too.": _last_only,
    "only the first answer is counted: a dialogue has as many as it has turns of the assistant.": _first_only,
    "everything is counted; the loss belongs on what the assistant says.": lambda turns: _masked(
        turns, lambda t, k, kept: True
    ),
    "the mask is the wrong way round: True is for tokens that are learned from.": lambda turns: (
        _masked(turns, lambda t, k, kept: not kept)
    ),
    "off by one, to the left: the mask marks the tokens themselves; the loss does the shifting.": lambda turns: (
        [*_masked(turns, lambda t, k, kept: kept)[1:], False]
    ),
    "off by one, to the right: the mask marks the tokens themselves; the loss does the shifting.": lambda turns: [
        False,
        *_masked(turns, lambda t, k, kept: kept)[:-1],
    ],
    "a reply with a line break loses its first lines: the header ends with the first line break of the turn, not the "
    "last.": _from_last_line,
    "a reply with a line break is cut at it: the turn ends with its end token.": _up_to_line,
}


def _bools(mask: Any) -> list[bool] | None:
    if hasattr(mask, "tolist"):
        mask = mask.tolist()
    if isinstance(mask, (str, bytes, dict)) or not hasattr(mask, "__iter__"):
        return None
    # list() of a tensor or an array is a list of its scalars
    values = [value.item() if getattr(value, "ndim", None) == 0 else value for value in mask]
    known = all(isinstance(value, (bool, int, float)) for value in values)
    return [bool(value) for value in values] if known else None


def judge_labels(answer: Any) -> Verdict:
    """The ids where the mask is True, IGNORE_INDEX elsewhere."""
    from q2a_core.model import IGNORE_INDEX

    rng = np.random.default_rng(5)
    found, due, cases = [], [], []
    for length in (4, 9, 16, 30):
        ids = [int(token) for token in rng.integers(0, 1500, length)]
        mask = [bool(kept) for kept in rng.random(length) < 0.4]
        mask[0], mask[-1] = False, True
        given = call(answer, list(ids), list(mask))
        if hasattr(given, "tolist"):
            given = given.tolist()
        if isinstance(given, (str, bytes, dict)) or not hasattr(given, "__iter__"):
            return wrong(
                f"the answer is a {type(given).__name__}; expected a list of ids, one a token."
            )
        given = list(given)
        if len(given) != length:
            return wrong(
                f"your labels have {len(given)} entries for {length} tokens: leave uncounted tokens in their place "
                f"and give them the value {IGNORE_INDEX}, so that positions still agree."
            )
        found.append(given)
        cases.append((ids, mask))
        due.append([token if kept else IGNORE_INDEX for token, kept in zip(ids, mask, strict=True)])
    if found == due:
        return passed("The loss looks only where the label is an id.")
    shifted = [[*labels[1:], IGNORE_INDEX] for labels in due]
    mistakes = {
        "uncounted tokens have the label 0, which is an id like any other: the model would learn to say it. Use "
        "IGNORE_INDEX.": [[t * k for t, k in zip(*case, strict=True)] for case in cases],
        "uncounted tokens have the label -1, and -1 is no value that the loss skips: use IGNORE_INDEX.": [
            [t if k else -1 for t, k in zip(*case, strict=True)] for case in cases
        ],
        "off by one: the labels are moved to where they are predicted, and the loss will move them once more.": (
            shifted
        ),
        "the mask is the wrong way round: the label is the id where the mask is True.": [
            [IGNORE_INDEX if k else t for t, k in zip(*case, strict=True)] for case in cases
        ],
        "these are the ids of all tokens; those that the mask leaves out need IGNORE_INDEX.": [
            case[0] for case in cases
        ],
    }
    message = named(found, mistakes) or (
        f"not this: a list as long as the ids, with the id where the mask is True and {IGNORE_INDEX} elsewhere."
    )
    return wrong(message, yours=np.array(found[1], float), expected=np.array(due[1], float))


def judge_control(answer: Any) -> Verdict:
    """The mean of a probe's accuracy over several shuffles of its labels."""
    labels = np.array(LABELS)
    given: list[np.ndarray] = []

    def score(shuffled: Any) -> float:
        given.append(np.array(shuffled))
        return CONSTANT_SCORES[(len(given) - 1) % len(CONSTANT_SCORES)]

    value = call(answer, score, labels, np.random.default_rng(3), SHUFFLES)
    verdict = not_one_number(value, "the mean accuracy over the shuffles")
    if verdict is not None:
        return verdict
    if not given:
        return wrong(
            "score was never called: every shuffle of the labels needs a probe of its own."
        )
    message = _control_mistake(labels, given, number(value))
    if message:
        return wrong(message)
    return passed(
        "What chance and the size of the probe give: the line that the probe has to beat."
    )


def _control_mistake(labels: np.ndarray, given: list[np.ndarray], value: float) -> str:
    true = np.array(LABELS)
    if any(sample.shape != true.shape for sample in given):
        return "score was given something of another length than the labels: shuffle the labels themselves."
    if not np.array_equal(labels, true):
        return (
            "the labels themselves were shuffled in place: after your control nobody has the true ones any more. "
            "rng.permutation returns a shuffled copy."
        )
    if any(sorted(sample.tolist()) != sorted(true.tolist()) for sample in given):
        return (
            "the labels were drawn anew: a shuffle keeps how many there are of each class, and the control should "
            "have the same."
        )
    if all(np.array_equal(sample, true) for sample in given):
        return "score got the true labels every time: this is the probe itself, not its control."
    if len(given) != SHUFFLES:
        return f"{len(given)} shuffles where {SHUFFLES} were asked for: use `times`."
    if all(np.array_equal(sample, given[0]) for sample in given):
        return "every shuffle was the same one: shuffle anew for each probe."
    scores = [CONSTANT_SCORES[k % len(CONSTANT_SCORES)] for k in range(len(given))]
    if agree(value, np.mean(scores)):
        return ""
    mistakes = {
        "this is the best of the shuffles; the mean is what luck gives on average.": [max(scores)],
        "this is the last shuffle alone; take the mean over all.": [scores[-1]],
        "this is the sum over the shuffles; divide by their number.": [sum(scores)],
        "this is one minus the mean; return the accuracy itself.": [1 - float(np.mean(scores))],
    }
    return named([value], mistakes) or "return the mean of what score returned."


EXERCISES = (
    Exercise(
        id="05.mask",
        title="What is learned from",
        difficulty=3,
        importance=5,
        minutes=7,
        hint="Go through the turns. Of an assistant's turn, the header ends with the first line break, and the last "
        "token that counts is <|im_end|>.",
        judge=judge_mask,
    ),
    Exercise(
        id="05.labels",
        title="From mask to labels",
        difficulty=1,
        importance=4,
        minutes=3,
        hint="As long as the ids. `IGNORE_INDEX` comes from `q2a_core.model`.",
        judge=judge_labels,
    ),
    Exercise(
        id="05.control",
        title="The shuffled control",
        difficulty=2,
        importance=5,
        minutes=5,
        hint="`rng.permutation(labels)` gives a shuffled copy; call `score` with one of them `times` times.",
        judge=judge_control,
    ),
)
