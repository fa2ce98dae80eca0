"""The judges of lesson 08's error counts and rates."""

from typing import Any

import numpy as np

from q2a_core.evaluation.metrics import word_error_rate, word_errors
from q2a_core.teaching.checks.mistakes import Mistake, mistake_made
from q2a_core.teaching.checks.numbers import number, same_number
from q2a_core.teaching.exercise import Verdict, call, passed, wrong

SENTENCES = (
    ("the dog sees a cat", "the dog sees a cat"),
    ("the dog sees a cat", "dog sees a cat"),
    ("the dog sees a cat", "the big dog sees a cat"),
    ("open the small door", "open a small door please"),
    ("three green keys", ""),
    ("", "three keys"),
    ("one two three four", "two three four five"),
    ("a b a b a", "b a b a b"),
)


def _distance(
    reference: list[str], hypothesis: list[str], *, substitution=1, deletion=1, insertion=1, edge=1
) -> int:
    """Edit distance with other prices than one."""
    row = [edge * insertion * place for place in range(len(hypothesis) + 1)]
    for down, word in enumerate(reference, start=1):
        above, row = row, [edge * deletion * down]
        for place, other in enumerate(hypothesis):
            replaced = above[place] + (substitution if word != other else 0)
            row.append(min(replaced, above[place + 1] + deletion, row[-1] + insertion))
    return row[-1]


EDIT_MISTAKES: tuple[Mistake, ...] = (
    (
        lambda r, h: sum(a != b for a, b in zip(r, h, strict=False)),
        "this compares the words at equal places and drops what is left over: one missing word shifts everything "
        "behind it, and the rest of the longer sentence counts as well.",
    ),
    (
        lambda r, h: sum(a != b for a, b in zip(r, h, strict=False)) + abs(len(r) - len(h)),
        "this compares the words at equal places: one missing word at the front makes all words behind it wrong. "
        "Let words be left out and put in.",
    ),
    (
        lambda r, h: abs(len(r) - len(h)),
        "this is the difference of the lengths; a wrong word costs as well.",
    ),
    (
        lambda r, h: _distance(r, h, substitution=2),
        "a wrong word costs you two, one out and one in; a substitution is one error.",
    ),
    (
        lambda r, h: _distance(r, h, insertion=0),
        "words that were put in cost you nothing; an insertion is an error too.",
    ),
    (
        lambda r, h: _distance(r, h, deletion=0),
        "words that were left out cost you nothing; a deletion is an error too.",
    ),
    (
        lambda r, h: _distance(r, h, edge=0),
        "the border of your table is zero: against an empty sentence every word is an error, so the first row and "
        "column count up.",
    ),
    (
        lambda r, h: _distance(list(" ".join(r)), list(" ".join(h))),
        "these are errors by character; count whole words.",
    ),
    (
        lambda r, h: len(set(r) ^ set(h)),
        "this compares the two sets of words; order and repetition count too.",
    ),
    (
        lambda r, h: len(r) - _distance(r, h),
        "these are the words that are right; count the errors.",
    ),
    (
        lambda r, h: _distance(r, h) / max(len(r), 1),
        "this is already divided by the number of words; return the count, the rate comes next.",
    ),
)


def judge_edits(answer: Any) -> Verdict:
    """The fewest substitutions, deletions and insertions between two lists of words."""
    rng = np.random.default_rng(8)
    pairs = list(SENTENCES)
    for _ in range(30):
        first, second = (" ".join(rng.choice(list("abcd"), size=n)) for n in rng.integers(0, 7, 2))
        pairs.append((first, second))
    cases = [(reference.split(), hypothesis.split()) for reference, hypothesis in pairs]
    found = [number(call(answer, list(r), list(h))) for r, h in cases]
    due = [word_errors(*pair)[0] for pair in pairs]
    rows = tuple(
        (f"{r or '(nothing)'} | {h or '(nothing)'}", f"{ours:g}", str(right))
        for (r, h), ours, right in zip(pairs, found, due, strict=True)
        if ours != right or (r, h) in SENTENCES[:4]
    )[:6]
    if all(map(same_number, found, due)):
        return passed("the same count as jiwer on every pair, the empty ones included.", rows=rows)
    message = mistake_made(EDIT_MISTAKES, cases, found, same_number)
    if message is None and found[:-30] == due[:-30]:
        message = "the plain cases are right, and some with repeated words are not: take the minimum of all three ways."
    if message is None and any(a < b for a, b in zip(found, due, strict=True)):
        message = "somewhere you count too few errors: look at the rows, and at sentences of different length."
    return wrong(message or "look at the rows: you count more errors than are needed.", rows=rows)


def _clips(seed: int, count: int) -> list[tuple[str, str]]:
    """Transcripts of a mediocre listener: words dropped, exchanged and added, clips of very different length."""
    rng = np.random.default_rng(seed)
    words = ["red", "blue", "green", "dog", "cat", "door", "key", "lamp"]
    pairs = []
    for _ in range(count):
        reference = [str(word) for word in rng.choice(words, size=int(rng.integers(1, 12)))]
        said = [str(rng.choice(words)) if rng.random() < 0.2 else word for word in reference]
        said += [str(word) for word in rng.choice(words, size=int(rng.integers(0, 3)))]
        pairs.append((" ".join(reference), " ".join(said)))
    return pairs


RATE_MISTAKES: tuple[Mistake, ...] = (
    (
        lambda counts: np.mean([errors / words for errors, words in counts]),
        "this is the mean of the clips' rates: a clip of one word weighs as much as one of ten. Sum the errors and "
        "the words first, divide once.",
    ),
    (
        lambda counts: np.mean([min(errors / words, 1) for errors, words in counts]),
        "each clip is capped at 100 % and then averaged; a rate may be above one, and only sums are divided.",
    ),
    (
        lambda counts: min(1.0, sum(e for e, _ in counts) / sum(w for _, w in counts)),
        "the rate is capped at 100 %: words that were put in can make it larger.",
    ),
    (
        lambda counts: 100 * sum(e for e, _ in counts) / sum(w for _, w in counts),
        "this is per cent; return the share, such as 0.25.",
    ),
    (
        lambda counts: 1 - sum(e for e, _ in counts) / sum(w for _, w in counts),
        "this is one minus the rate: word accuracy. The rate itself was asked for.",
    ),
    (
        lambda counts: sum(e for e, _ in counts) / len(counts),
        "these are errors in a clip; divide by the words of the references, not by the clips.",
    ),
    (
        lambda counts: sum(w for _, w in counts) / sum(e for e, _ in counts),
        "the fraction stands on its head: errors go on top.",
    ),
    (
        lambda counts: np.median([errors / words for errors, words in counts]),
        "this is the median of the clips' rates; sum the errors and the words first, divide once.",
    ),
)


def judge_rate(answer: Any) -> Verdict:
    """The error rate of a corpus from each clip's errors and words."""
    corpora = [_clips(seed, 12) for seed in (1, 2, 3)]
    corpora.append([("red", "blue green red dog"), ("key", "lamp door")])  # more errors than words
    cases = [([word_errors(*pair) for pair in pairs],) for pairs in corpora]
    due = [word_error_rate(pairs).value for pairs in corpora]
    found = [number(call(answer, list(counts))) for (counts,) in cases]
    rows = tuple(
        (f"corpus {place}", f"{ours:.4f}", f"{right:.4f}")
        for place, (ours, right) in enumerate(zip(found, due, strict=True), start=1)
    )
    if not all(map(same_number, found, due)):
        message = mistake_made(RATE_MISTAKES, cases, found, same_number)
        return wrong(message or "sum all errors, sum all words, divide once.", rows=rows)
    silent = [("red dog", "red dog"), ("", "hm hm")]
    due_silent = word_error_rate(silent).value
    found_silent = number(call(answer, [word_errors(*pair) for pair in silent]))
    if not same_number(found_silent, due_silent):
        row = ("one clip without words", f"{found_silent:.4f}", f"{due_silent:.4f}")
        return wrong(
            "right, but for a clip in which nothing is said: its invented words are errors of the corpus as well.",
            rows=(*rows, row),
        )
    return passed("a long clip weighs more than a short one, and silence counts too.", rows=rows)
