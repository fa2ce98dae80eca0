"""Lesson 08: error rates, intervals, a judge that likes the first place, a misprint, the memory of the real model."""

from typing import Any

import numpy as np

from q2a_core import presets
from q2a_core.evaluation.external_judge import fair_marks
from q2a_core.evaluation.paper_figures import mark_behind_average
from q2a_core.teaching.checks.error_rates import judge_edits, judge_rate
from q2a_core.teaching.checks.intervals import judge_interval
from q2a_core.teaching.checks.mistakes import Mistake, mistake_made
from q2a_core.teaching.checks.numbers import number, same_number
from q2a_core.teaching.exercise import Exercise, Verdict, call, passed, wrong

REPLY_MISTAKES: tuple[Mistake, ...] = (
    (
        lambda straight, swapped: (straight[1] + swapped[1]) / 2,
        "you average the second place twice; once the answers are swapped, the reply stands in the first.",
    ),
    (
        lambda straight, swapped: (straight[0] + swapped[1]) / 2,
        "this is the reference's mark: the reply is second at first, and first once swapped.",
    ),
    (
        lambda straight, swapped: (straight[0] + swapped[0]) / 2,
        "this is the mean of whatever came first; follow the reply, it changes its place.",
    ),
    (
        lambda straight, swapped: straight[1],
        "this takes the first round alone, with its bias in it.",
    ),
    (
        lambda straight, swapped: swapped[0],
        "this takes the second round alone, with its bias in it.",
    ),
    (
        lambda straight, swapped: straight[1] + swapped[0],
        "this is the sum of two marks; take their mean, so that it stays between 0 and 10.",
    ),
    (
        lambda straight, swapped: sum(straight + swapped) / 4,
        "this is the mean of all four marks, the reference's among them; keep to the reply's two.",
    ),
)
LEAD_MISTAKES: tuple[Mistake, ...] = (
    (
        lambda straight, swapped: -fair_marks(straight, swapped).lead_of_first,
        "its sign is turned round: positive if the first place is liked.",
    ),
    (
        lambda straight, swapped: 2 * fair_marks(straight, swapped).lead_of_first,
        "it is not halved: two rounds were summed.",
    ),
    (
        lambda straight, swapped: (
            fair_marks(straight, swapped).reference - fair_marks(straight, swapped).reply
        ),
        "this is how much better the reference is than the reply; take first place minus second in each round.",
    ),
    (
        lambda straight, swapped: straight[0] - straight[1],
        "this is the first round alone, where the reference's quality and its place are mixed up.",
    ),
)


def judge_fair(answer: Any) -> Verdict:
    """Mark of the reply without the judge's liking for a place, and how large that liking is."""
    rng = np.random.default_rng(5)
    cases = [((8.0, 6.0), (7.0, 7.0)), ((9.0, 3.0), (4.0, 8.0))]
    for _ in range(6):
        marks = rng.integers(0, 21, size=4) / 2
        cases.append(((float(marks[0]), float(marks[1])), (float(marks[2]), float(marks[3]))))
    given = [call(answer, *case) for case in cases]
    if any(not hasattr(pair, "__len__") or len(pair) != 2 for pair in given):
        return wrong(
            "return two numbers: the reply's mark, and how much the first place gains on average."
        )
    replies, leads = ([number(pair[place]) for pair in given] for place in (0, 1))
    due = [fair_marks(*case) for case in cases]
    rows = tuple(
        (
            f"straight {case[0]}, swapped {case[1]}",
            f"{a:g}, {b:g}",
            f"{d.reply:g}, {d.lead_of_first:g}",
        )
        for case, a, b, d in zip(cases[:3], replies, leads, due, strict=False)
    )
    if not all(map(same_number, replies, [marks.reply for marks in due])):
        if all(map(same_number, leads, [marks.reply for marks in due])):
            return wrong(
                "the two numbers are in the other order: the reply's mark comes first.", rows=rows
            )
        message = mistake_made(REPLY_MISTAKES, cases, replies, same_number)
        return wrong(
            message or "the reply's mark: follow the reply through both rounds and take the mean.",
            rows=rows,
        )
    if not all(map(same_number, leads, [marks.lead_of_first for marks in due])):
        message = mistake_made(LEAD_MISTAKES, cases, leads, same_number)
        return wrong(
            "the mark is right. The lead of the first place: "
            + (message or "in each round, first minus second; then the mean."),
            rows=rows,
        )
    return passed("quality and place are parted, as long as the judge is asked twice.", rows=rows)


HIDDEN_MISTAKES: tuple[Mistake, ...] = (
    (
        lambda a, b, c, average: 3 * average - (a + b + c),
        "an average of four marks is their sum over four; you multiply by three.",
    ),
    (
        lambda a, b, c, average: 4 * average - (a + b + c) / 3,
        "from the sum of four you take the mean of three; take their sum.",
    ),
    (
        lambda a, b, c, average: average - (a + b + c) / 3,
        "this is how far the printed figure lies above the mean of three; it is no mark.",
    ),
    (
        lambda a, b, c, average: (a + b + c + average) / 4,
        "this averages the printed figure once more; go the other way, from an average to what is in it.",
    ),
    (
        lambda a, b, c, average: (a + b + c) / 3,
        "this is the mean of the three known marks; the printed figure says something about the fourth.",
    ),
    (
        lambda a, b, c, average: (a + b + c) - 4 * average,
        "the sign is turned round: the sum of four minus the sum of three is the fourth.",
    ),
)


def judge_hidden(answer: Any) -> Verdict:
    """The fourth mark, if what is printed is the average of four."""
    rng = np.random.default_rng(2)
    cases = [tuple(float(x) for x in rng.integers(0, 41, size=4) / 4) for _ in range(6)]
    cases.append((7.0, 7.0, 7.0, 7.0))
    found = [number(call(answer, *case)) for case in cases]
    due = [mark_behind_average(case[:3], case[3]) for case in cases]
    rows = tuple(
        (f"{case[:3]}, average {case[3]}", f"{ours:g}", f"{right:g}")
        for case, ours, right in zip(cases[:3], found, due, strict=False)
    )
    if all(same_number(a, b, relative=1e-3) for a, b in zip(found, due, strict=True)):
        return passed("now let it loose on the printed column.", rows=rows)
    if all(same_number(a, min(max(b, 0.0), 10.0)) for a, b in zip(found, due, strict=True)):
        return wrong(
            "you keep the mark between 0 and 10; let it out of there, for a mark that cannot be is the evidence.",
            rows=rows,
        )
    message = mistake_made(HIDDEN_MISTAKES, cases, found, same_number)
    return wrong(message or "four times the average is the sum of all four.", rows=rows)


def _size(decoder) -> int:
    return decoder.num_layers * decoder.num_kv_heads * decoder.head_dim


def _memory(weights, decoder, positions, size) -> int:
    return (weights + 2 * _size(decoder) * positions) * size


MEMORY_MISTAKES: tuple[Mistake, ...] = (
    (
        lambda w, d, positions, size: 2 * _size(d) * positions * size,
        "this is the cache alone: the weights lie in memory as well.",
    ),
    (
        lambda w, d, positions, size: w * size,
        "these are the weights alone: every position leaves keys and values behind.",
    ),
    (
        lambda w, d, positions, size: (w + _size(d) * positions) * size,
        "half of the cache is missing: keys and values are both kept.",
    ),
    (
        lambda w, d, positions, size: (w + 2 * d.num_layers * d.d_model * positions) * size,
        "the cache counts every query head, or the whole width: only the key-value heads are kept, and in mini two "
        "query heads share one of them.",
    ),
    (
        lambda w, d, positions, size: (w + 2 * d.num_kv_heads * d.head_dim * positions) * size,
        "this is the cache of one layer; every layer keeps keys and values of its own.",
    ),
    (
        lambda w, d, positions, size: w + 2 * _size(d) * positions,
        "these are numbers, not bytes: each takes `itemsize` bytes.",
    ),
    (
        lambda w, d, positions, size: w + 2 * _size(d) * positions * size,
        "the weights are counted and not weighed: each of them takes `itemsize` bytes too.",
    ),
    (
        lambda w, d, positions, size: w * size + 2 * _size(d) * positions,
        "the numbers of the cache are counted and not weighed: each of them takes `itemsize` bytes too.",
    ),
    (lambda *case: 8 * _memory(*case), "these are bits; eight of them are one byte."),
    (lambda *case: _memory(*case) / 2**30, "this is in GiB; return bytes."),
    (lambda *case: _memory(*case) / 1e9, "this is in gigabytes; return bytes."),
    (
        lambda w, d, positions, size: (w + 2 * _size(d) * positions**2) * size,
        "the cache grows with the positions, not with their square: it holds vectors, no map.",
    ),
    (
        lambda w, d, positions, size: (w + 2 * _size(d)) * positions * size,
        "the weights are there once; only the cache grows with the positions.",
    ),
)


def judge_memory(answer: Any) -> Verdict:
    """Bytes of the weights, and of the keys and values of so many positions."""
    mini, tiny, real = presets.mini(), presets.tiny(), presets.qwen2_audio_7b()
    cases = [
        (9_000_000, mini.decoder, 100, 4),
        (8_400_000_000, real.decoder, 782, 2),
        (60_000, tiny.decoder, 1, 4),
        (8_400_000_000, real.decoder, 65_536, 2),
    ]
    found = [number(call(answer, *case)) for case in cases]
    due = [
        weights * size + decoder.kv_bytes(positions, itemsize=size)
        for weights, decoder, positions, size in cases
    ]
    rows = tuple(
        (
            f"{case[0]:,} parameters, {case[2]:,} positions, {case[3]} bytes each",
            f"{ours:,.0f}",
            f"{right:,}",
        )
        for case, ours, right in zip(cases, found, due, strict=True)
    )
    if all(map(same_number, found, due)):
        return passed(
            "in a short dialogue nearly all of it is weights; the cache grows with every token, and in the last row it "
            "is the larger part.",
            rows=rows,
        )
    message = mistake_made(MEMORY_MISTAKES, cases, found, same_number)
    return wrong(
        message
        or "the weights, and keys and values in every layer, for every key-value head, each `head_dim` wide.",
        rows=rows,
    )


EXERCISES = (
    Exercise(
        id="08.edits",
        title="Errors between two sentences",
        difficulty=3,
        importance=5,
        minutes=12,
        hint="A table with a row for each word of the reference and a column for each of the hypothesis, both from "
        "none on. Each field is the least of three neighbours plus what the last step costs.",
        judge=judge_edits,
    ),
    Exercise(
        id="08.rate",
        title="The rate of a corpus",
        difficulty=1,
        importance=5,
        minutes=4,
        hint="A long clip should weigh more than a short one. What do you sum, and when do you divide?",
        judge=judge_rate,
    ),
    Exercise(
        id="08.interval",
        title="How sure is that figure?",
        difficulty=3,
        importance=4,
        minutes=10,
        hint="Draw as many clips as there are, with replacement; take the rate of what was drawn; do that `rounds` "
        "times; np.quantile finds where the middle 95 % lie.",
        judge=judge_interval,
    ),
    Exercise(
        id="08.fair",
        title="A judge who likes the first place",
        difficulty=2,
        importance=4,
        minutes=6,
        hint="Straight: the reference is first. Swapped: the reply is first. Where is the reply's mark in each?",
        judge=judge_fair,
    ),
    Exercise(
        id="08.hidden",
        title="What stands behind a printed figure?",
        difficulty=2,
        importance=3,
        minutes=5,
        hint="If four marks have this average, what do they add up to?",
        judge=judge_hidden,
    ),
    Exercise(
        id="08.memory",
        title="The memory of the real model",
        difficulty=2,
        importance=3,
        minutes=6,
        hint="Count the numbers that are kept: the parameters, and what every layer keeps of every position (look at "
        "`num_layers`, `num_kv_heads` and `head_dim`). Then turn numbers into bytes.",
        judge=judge_memory,
    ),
)
