"""Lesson 04: tags by hand, the next-token loss by hand, and a mean in which every token weighs the same."""

import re
from typing import Any

import numpy as np

from q2a_core.teaching.checks.mistakes import named
from q2a_core.teaching.checks.numbers import agree, not_one_number, number
from q2a_core.teaching.exercise import Broke, Exercise, Verdict, call, passed, wrong

TAG_CASES = (
    ("transcribe", "en"),
    ("transcribe", "de"),
    ("transcribe", "zh"),
    ("translate", "German"),
    ("translate", "Mandarin"),
    ("is_there", "a dog"),
    ("is_there", "breaking glass"),
)
SHAPES = ((6, 5, 2), (9, 7, 4), (30, 11, 12), (12, 3, 1))
"""Tokens, vocabulary and counted tokens of the cases for the loss."""
FAR = 300.0
"""A logit whose exponential no float32 holds."""
MICRO_BATCHES = (
    ((2.0, 4.0), (1.0,)),
    ((0.5,), (3.0, 3.0, 3.0, 3.0, 3.0)),
    ((1.0, 2.0, 3.0), (5.0,), (0.25, 0.25)),
    ((1.0, 5.0), (2.0, 4.0)),
)
WITH_EMPTY = ((2.0, 4.0), (), (1.0,))


def judge_tags(answer: Any) -> Verdict:
    """The tags of three tasks, for any language and thing."""
    from q2a_core.world.prompts import prompt_for

    rng = np.random.default_rng(0)
    rows, found, due = [], [], []
    for task, what in TAG_CASES:
        text = call(answer, task, what)
        if not isinstance(text, str):
            return wrong(f"the answer is a {type(text).__name__}; expected the tags as one text.")
        found.append(text)
        due.append(prompt_for(task, rng, what=what, tags=True))
        rows.append((f"{task}, {what}", found[-1], due[-1] if len(rows) == 0 else "…"))
    if found == due:
        return passed(
            "The same wish as a sentence, in a language that only this model family speaks."
        )
    return wrong(_tags_mistake(found, due), rows=tuple(rows[:1]))


def _tags_mistake(found: list[str], due: list[str]) -> str:
    first = next(k for k, (a, b) in enumerate(zip(found, due, strict=True)) if a != b)
    text, true = found[first], due[first]
    task, what = TAG_CASES[first]
    ours, theirs = (re.findall(r"<\|.*?\|>", t) for t in (text, true))
    if "{}" in text:
        return "the place {} was left open: put the language or the thing there."
    if not ours and re.search(r"<.*>", text):
        return "the marks of a tag are <| and |>, both with the bar."
    if not ours:
        return "this is plain language; tags were special tokens, such as <|transcribe|>."
    if " " in text.replace(what, "") and task != "is_there":
        return "there is a space between the tags; they stand one after the other without any."
    if sorted(ours) == sorted(theirs):
        return (
            f"all tags of {task!r} are there, in another order: from the general to the particular, so the "
            "language of the sound comes before the task, and that of the answer last."
        )
    if text in due[:first]:
        return f"the answer for {what!r} is the one for another case: it does not depend on what is asked."
    if len(ours) < len(theirs):
        return (
            f"in these tags {task!r} has {len(theirs)} and yours has {len(ours)}: start, language of the sound, task, "
            "and what ends it are all needed."
        )
    if task == "translate" and what in text.split("<|translate|>")[0]:
        return (
            "in these tags a translation names the language to translate into after the task; that of the sound is "
            "left open, so its tag says unknown."
        )
    return f"the tags of {task!r} for {what!r} are others; look at the table above, tag by tag."


def judge_loss(answer: Any) -> Verdict:
    """Cross entropy of the counted tokens, shifted by one, safe for large logits."""
    import torch

    cases = [_loss_case(*shape, seed=seed) for seed, shape in enumerate(SHAPES)]
    found, due = [], []
    for logits, ids, counted in cases:
        value = call(answer, logits.clone(), ids.clone(), counted.clone())
        verdict = not_one_number(value, "the mean loss of the counted tokens")
        if verdict is not None:
            return verdict
        found.append(number(value))
        due.append(_losses(logits, ids, counted)["right"])
    rows = tuple(
        (f"{len(c[1])} tokens, {int(c[2].sum())} counted", f"{a:.4f}", f"{b:.4f}")
        for c, a, b in zip(cases, found, due, strict=True)
    )
    if not all(agree(a, b) for a, b in zip(found, due, strict=True)):
        tables = [_losses(*case) for case in cases]
        mistakes = {text: [table[name] for table in tables] for name, text in LOSS_MISTAKES.items()}
        message = named(found, mistakes) or (
            "not this: position t predicts token t + 1; take the log-probability of that token, keep the counted "
            "ones, change the sign, take the mean."
        )
        return wrong(message, rows=rows)
    logits = torch.tensor([[FAR, 0.0], [0.0, 0.0], [0.0, 0.0]])
    far = number(call(answer, logits, torch.tensor([0, 1, 0]), torch.tensor([False, True, False])))
    if not agree(far, FAR):
        return wrong(
            f"right for small logits, but one of {FAR:g} gives {far}: its exponential is too large for a float32. "
            "Subtract the largest logit first, or use a log-softmax.",
            rows=rows,
        )
    return passed("This is equation 1 of the paper, as the loop computes it.", rows=rows)


LOSS_MISTAKES = {
    "unshifted": "off by one: logits at position t are about the token at t + 1, not about the one at t.",
    "mask unshifted": "the mask is off by one: a loss counts if the token that is predicted is counted, and that is "
    "the next one.",
    "over all": "the sum is divided by all positions; only counted tokens are in the mean.",
    "all counted": "the prompt is counted too: only tokens whose mask is True have a loss.",
    "sum": "this is the sum; the loss is the mean over the counted tokens.",
    "negative": "the sign: a log-probability is at most 0, and a loss at least 0.",
    "base 2": "this is in bits; the field counts in nats, so take the natural logarithm.",
    "probability": "this is a mean of probabilities; take the logarithm of each before the mean.",
    "logits": "these are raw logits: without the softmax over the vocabulary they are no probabilities.",
    "wrong axis": "the softmax runs over the positions; it belongs over the vocabulary, the last axis.",
}


def _loss_case(tokens: int, vocabulary: int, counted: int, *, seed: int) -> tuple[Any, Any, Any]:
    import torch

    generator = torch.Generator().manual_seed(seed)
    logits = 2.0 * torch.randn(tokens, vocabulary, generator=generator)
    ids = torch.randint(0, vocabulary, (tokens,), generator=generator)
    places = 1 + torch.randperm(tokens - 1, generator=generator)[:counted]
    mask = torch.zeros(tokens, dtype=torch.bool)
    mask[places] = True
    return logits, ids, mask


def _losses(logits: Any, ids: Any, counted: Any) -> dict[str, float]:
    """The right loss and what each mistake gives."""
    import torch
    import torch.nn.functional as F

    targets, kept = ids[1:], counted[1:]
    each = F.cross_entropy(logits[:-1], targets, reduction="none")
    right = float(each[kept].mean())
    down = logits.log_softmax(0)[:-1].gather(-1, targets[:, None])[:, 0]
    raw = logits[:-1].gather(-1, targets[:, None])[:, 0]
    return {
        "right": right,
        "unshifted": float(F.cross_entropy(logits[counted], ids[counted])),
        "mask unshifted": float(each[counted[:-1]].mean()) if counted[:-1].any() else float("nan"),
        "over all": float(each[kept].sum() / len(ids)),
        "all counted": float(each.mean()),
        "sum": float(each[kept].sum()),
        "negative": -right,
        "base 2": right / float(np.log(2.0)),
        "probability": float(torch.exp(-each[kept]).mean()),
        "logits": -float(raw[kept].mean()),
        "wrong axis": -float(down[kept].mean()),
    }


def judge_average(answer: Any) -> Verdict:
    """The mean over all tokens of a step, however they lie in micro-batches."""
    found, due = [], []
    for batches in MICRO_BATCHES:
        value = call(answer, [list(batch) for batch in batches])
        verdict = not_one_number(value, "the loss of the step")
        if verdict is not None:
            return verdict
        found.append(number(value))
        due.append(_token_mean(batches))
    rows = tuple(
        (" + ".join(str(len(batch)) for batch in batches) + " tokens", f"{a:.4f}", f"{b:.4f}")
        for batches, a, b in zip(MICRO_BATCHES, found, due, strict=True)
    )
    if not all(agree(a, b) for a, b in zip(found, due, strict=True)):
        mistakes = {
            "a mean of means: a token in a small micro-batch weighs more than one in a large micro-batch. Add up "
            "first, divide once.": [
                float(np.mean([np.mean(batch) for batch in batches])) for batches in MICRO_BATCHES
            ],
            "the sum is divided by the number of micro-batches; divide by the number of tokens.": [
                sum(map(sum, batches)) / len(batches) for batches in MICRO_BATCHES
            ],
            "the micro-batches are weighed, but with the square of their size: a mean times its size is a sum "
            "already.": [
                sum(sum(b) * len(b) for b in batches) / sum(len(b) ** 2 for b in batches)
                for batches in MICRO_BATCHES
            ],
            "this is the sum of all losses; divide it by the number of tokens.": [
                float(sum(map(sum, batches))) for batches in MICRO_BATCHES
            ],
            "this is the last micro-batch alone; a step's gradient is that of all of them.": [
                float(np.mean(batches[-1])) for batches in MICRO_BATCHES
            ],
        }
        message = (
            named(found, mistakes) or "add up the losses of all tokens and divide by their number."
        )
        return wrong(message, rows=rows)
    try:
        empty = number(call(answer, [list(batch) for batch in WITH_EMPTY]))
    except Broke as broke:
        empty = float("nan") if isinstance(broke.error, ZeroDivisionError) else None
        if empty is None:
            raise
    if not agree(empty, _token_mean(WITH_EMPTY)):
        return wrong(
            "right, until a micro-batch holds no counted token at all: its own mean does not exist, and should "
            "never be asked for.",
            rows=rows,
        )
    return passed("Cut as you like: the step is the same.", rows=rows)


def _token_mean(batches: Any) -> float:
    return sum(map(sum, batches)) / sum(map(len, batches))


EXERCISES = (
    Exercise(
        id="04.tags",
        title="Ask in tags",
        difficulty=1,
        importance=3,
        minutes=4,
        hint="An f-string for each task. Four tags for speech: start, language of the sound, task, language of the "
        "answer.",
        judge=judge_tags,
    ),
    Exercise(
        id="04.loss",
        title="The next-token loss",
        difficulty=3,
        importance=5,
        minutes=7,
        hint="`logits.log_softmax(-1)`; position t is about token t + 1, so drop the last logits and the first token; "
        "`gather` picks one column a row.",
        judge=judge_loss,
    ),
    Exercise(
        id="04.average",
        title="Every token weighs the same",
        difficulty=2,
        importance=4,
        minutes=4,
        hint="Two totals over all micro-batches, and one division.",
        judge=judge_average,
    ),
)
