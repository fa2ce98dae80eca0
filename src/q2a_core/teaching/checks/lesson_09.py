"""Lesson 09: the online softmax, tiles with padding, and broken kernels to tell apart.

The judges are imported when they are asked, so that the list of exercises does not wait for torch.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from q2a_core.teaching.exercise import Exercise, Verdict, passed, wrong

HUNT = (1, 8, 14)
"""Seeds of the broken kernels that the lesson shows: three different faults."""


def judge_hunt(answer: Any) -> Verdict:
    """Which fault each of the seeds plants, as {seed: name}."""
    from q2a_core.inspection.bug_hunt import judge_guess
    from q2a_core.inspection.flash_steps import FAULTS

    if not isinstance(answer, Mapping):
        return wrong("give a dict: the number of each broken kernel and the name of its fault.")
    if any(answer.get(seed) is None for seed in HUNT):
        missing = ", ".join(str(seed) for seed in HUNT if answer.get(seed) is None)
        return wrong(f"no guess yet for kernel {missing}; the names are the keys of FAULTS.")
    rows, reasons = [], []
    for seed in HUNT:
        guess = str(answer[seed])
        if guess not in FAULTS:
            return wrong(f"no fault is called {guess!r}; the names are: {', '.join(FAULTS)}.")
        verdict = judge_guess(seed, guess)
        rows.append((f"kernel {seed}", guess, "this one" if verdict.right else "another one"))
        if not verdict.right:
            reasons.append(
                f"kernel {seed} is not that. What {guess} would look like: {verdict.text}"
            )
    if reasons:
        return wrong(" ".join(reasons), rows=tuple(rows))
    return passed("found by what is wrong and where, without a look at the code.", rows=tuple(rows))


def _judge_in(module: str, name: str) -> Callable[[Any], Verdict]:
    def judge(answer: Any) -> Verdict:
        return getattr(importlib.import_module(f"q2a_core.teaching.checks.{module}"), name)(answer)

    return judge


EXERCISES = (
    Exercise(
        id="09.absorb",
        title="A maximum and a sum that run",
        difficulty=3,
        importance=5,
        minutes=10,
        hint="The old sum was taken relative to the old maximum. By which factor must it shrink when the maximum "
        "grows? And what is minus infinity minus minus infinity?",
        judge=_judge_in("tiles", "judge_absorb"),
    ),
    Exercise(
        id="09.scores",
        title="The scores of one tile",
        difficulty=2,
        importance=4,
        minutes=5,
        hint="Column c of the tile is key `left + c`. Which of them lie behind the clip's end?",
        judge=_judge_in("tiles", "judge_scores"),
    ),
    Exercise(
        id="09.tile",
        title="Values join in",
        difficulty=3,
        importance=5,
        minutes=8,
        hint="The accumulator is relative to the running maximum exactly as the sum is. Do not divide yet.",
        judge=_judge_in("tiles", "judge_tile"),
    ),
    Exercise(
        id="09.lse",
        title="One number for each row",
        difficulty=2,
        importance=3,
        minutes=4,
        hint="The sum of exp(score) is exp(maximum) times the running sum; take the logarithm of that.",
        judge=_judge_in("tiles", "judge_lse"),
    ),
    Exercise(
        id="09.flash",
        title="Attention by tiles",
        difficulty=4,
        importance=5,
        minutes=15,
        hint="Two loops: tiles of queries outside, tiles of keys inside. Start each tile of queries with maximum "
        "minus infinity, sum 0, accumulator 0; divide when the last tile of keys has passed.",
        judge=_judge_in("flash", "judge_flash"),
    ),
    Exercise(
        id="09.hunt",
        title="Three broken kernels",
        difficulty=3,
        importance=3,
        minutes=8,
        hint="Do the weights of a row still add up to one? Are all rows wrong, or those whose maximum grew late?",
        judge=judge_hunt,
    ),
)
