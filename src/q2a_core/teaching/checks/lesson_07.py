"""Lesson 07: ablate a range, compare two orders, scale a patch; its scores are judged next door."""

from collections.abc import Callable
from typing import Any

import numpy as np

from q2a_core.teaching.checks.lesson_07_scores import judge_listening, judge_selectivity
from q2a_core.teaching.checks.numbers import number
from q2a_core.teaching.exercise import Broke, Exercise, Verdict, call, passed, wrong


def judge_ablate(answer: Any) -> Verdict:
    """Rows [first, stop) replaced by the clip's mean over time, all others kept."""
    import torch

    generator = torch.Generator().manual_seed(0)
    rows, first_bad = [], None
    for tokens, first, stop in ((9, 2, 5), (12, 0, 4), (10, 7, 10), (6, 3, 4), (5, 0, 5)):
        states = torch.randn(tokens, 4, generator=generator) + torch.arange(4)
        kept = states.clone()
        yours = torch.as_tensor(call(answer, states, first, stop))
        if not torch.equal(states, kept):
            return wrong(
                "the states that were handed in have changed: the next edit would start from a damaged clip. "
                "Write into a copy."
            )
        due = kept.clone()
        due[first:stop] = kept.mean(dim=0)
        if yours.shape != due.shape:
            return wrong(
                f"the result has shape {tuple(yours.shape)}, expected {tuple(due.shape)}: a clip keeps its length, "
                "or every later token would move in time."
            )
        same = bool(torch.allclose(yours.float(), due, atol=1e-5))
        rows.append(
            (f"{tokens} tokens, [{first}, {stop})", "right" if same else "differs", "right")
        )
        if not same and first_bad is None:
            first_bad = (kept, first, stop, yours.float(), due)
    if first_bad is None:
        return passed("what was special about these moments is gone, and nothing else.")
    message = _ablate_mistake(*first_bad[:4])
    return wrong(message, rows=tuple(rows), yours=first_bad[3].T, expected=first_bad[4].T)


def _ablate_mistake(states: Any, first: int, stop: int, yours: Any) -> str:
    import torch

    def like(start: int, end: int, values: Any) -> bool:
        made = states.clone()
        made[start:end] = values
        return bool(torch.allclose(yours, made, atol=1e-5))

    mean = states.mean(dim=0)
    if like(0, 0, mean):
        return "nothing was overwritten."
    if like(first, stop, 0.0):
        return "these are zeros, which no clip ever holds there: use the clip's mean over time."
    if like(first, stop + 1, mean):
        return "one token too many: the range ends before `stop`."
    if like(first + 1, stop, mean) or like(first + 1, stop + 1, mean):
        return "the range begins one token late: `first` belongs to it, and counting starts at 0."
    if like(first, stop, states[first:stop].mean(dim=0)):
        return "this is the mean of the range itself, which keeps what is to be removed: take the whole clip's mean."
    if like(first, stop, states.mean(dim=1)[first:stop, None]) or like(first, stop, states.mean()):
        return "the mean runs over the channels: it has to run over time, one value per channel."
    kept = mean.expand_as(states).clone()
    kept[first:stop] = states[first:stop]
    if torch.allclose(yours, kept, atol=1e-5):
        return (
            "everything but the range was overwritten: that asks whether the range is enough, not whether it is "
            "needed."
        )
    if like(0, len(states), mean):
        return "the whole clip was overwritten: only tokens first to stop - 1 are to change."
    return (
        "rows first to stop - 1 hold the mean over time of all rows, the others stay as they were."
    )


def judge_rank(answer: Any) -> Verdict:
    """Spearman's rank correlation of series without ties."""
    from q2a_core.inspection.look_and_cause import rank_correlation

    rng = np.random.default_rng(0)
    skewed = np.exp(2.5 * rng.normal(size=14))
    cases: list[tuple[str, np.ndarray, np.ndarray]] = [
        ("the same order, other spacing", skewed, np.log(skewed) + 7),
        ("the opposite order", skewed, -np.sqrt(skewed)),
        ("another order", skewed, rng.normal(size=14)),
        ("half the same", skewed, np.argsort(np.argsort(skewed)) + rng.normal(size=14) * 5),
        ("two windows", np.array([0.1, 0.9]), np.array([5.0, 2.0])),
        ("a cycle", np.array([3.0, 1.0, 2.0, 4.0]), np.array([2.0, 3.0, 1.0, 4.0])),
    ]
    rows, yours, due = [], [], []
    for name, a, b in cases:
        kept = a.copy(), b.copy()
        yours.append(number(call(answer, a, b)))
        if not (np.array_equal(a, kept[0]) and np.array_equal(b, kept[1])):
            return wrong(
                "the series that were handed in are in another order now: use a sorted copy, or argsort."
            )
        due.append(rank_correlation(*kept))
        rows.append((name, f"{yours[-1]:.3f}", f"{due[-1]:.3f}"))
    if np.allclose(yours, due, atol=1e-6):
        return passed("units have gone, the order is left.", rows=tuple(rows))
    return wrong(_rank_mistake(yours, due, cases), rows=tuple(rows))


def _rank_mistake(
    yours: list[float], due: list[float], cases: list[tuple[str, np.ndarray, np.ndarray]]
) -> str:
    def like(function: Callable[[np.ndarray, np.ndarray], float]) -> bool:
        return bool(np.allclose(yours, [function(a, b) for _, a, b in cases], atol=1e-6))

    def pearson(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.corrcoef(a, b)[0, 1])

    def kendall(a: np.ndarray, b: np.ndarray) -> float:
        upper = np.triu_indices(len(a), 1)
        signs = np.sign(a[:, None] - a) * np.sign(b[:, None] - b)
        return float(signs[upper].mean())

    if like(pearson):
        return (
            "this correlates the values themselves, so that one large value decides: replace each value by its "
            "rank first."
        )
    if like(lambda a, b: pearson(np.argsort(a), np.argsort(b))):
        return (
            "argsort lists which value comes first, second, third; a rank says at which place each value came: "
            "these are two permutations, one undoes the other."
        )
    if like(kendall):
        return (
            "this is Kendall's tau, which counts pairs: here the ranks themselves are correlated."
        )
    if np.allclose(np.negative(yours), due, atol=1e-6):
        return "the sign is turned round: both series have to be ranked in the same direction."
    if np.allclose(yours, np.square(due), atol=1e-6):
        return "this is the square, which cannot tell the same order from the opposite one."
    if np.allclose(yours, np.abs(due), atol=1e-6):
        return "the sign is lost: the opposite order is -1."
    if max(np.abs(yours)) > 1 + 1e-9:
        return "a correlation lies between -1 and 1: divide by the spread of both series of ranks."
    return "rank both series, take their means off, and correlate what is left."


def judge_patch_effect(answer: Any) -> Verdict:
    """(patched - own) / (other - own), NaN where the ends agree."""
    cases = (
        ("nothing happened", -2.0, -2.0, 4.0),
        ("all the way", 4.0, -2.0, 4.0),
        ("half of the way", 1.0, -2.0, 4.0),
        ("the other way", -5.0, -2.0, 4.0),
        ("further than the other clip", 7.0, -2.0, 4.0),
        ("the other clip lies below", -1.0, 3.0, -5.0),
        ("both clips say the same", 1.0, 2.0, 2.0),
    )
    rows, yours, due = [], [], []
    for name, patched, own, other in cases:
        try:
            found = number(call(answer, patched, own, other))
        except Broke as broke:
            if other == own and isinstance(broke.error, ZeroDivisionError):
                return wrong(
                    "where both clips give the same, there is no way to go, and your code divides by its length of 0: "
                    "return float('nan') there, before the division."
                )
            raise
        wanted = float("nan") if other == own else (patched - own) / (other - own)
        yours.append(found)
        due.append(wanted)
        rows.append(
            (f"{name}: {patched}, own {own}, other {other}", f"{found:.3g}", f"{wanted:.3g}")
        )
    if np.allclose(yours, due, equal_nan=True):
        return passed(
            "0 is the clip itself, 1 the other clip; any pair of clips now has the same scale.",
            rows=tuple(rows),
        )
    return wrong(_patch_mistake(np.array(yours), np.array(due), cases), rows=tuple(rows))


def _patch_mistake(yours: np.ndarray, due: np.ndarray, cases: Any) -> str:
    patched, own, other = np.array([case[1:] for case in cases]).T
    ends = own != other

    def like(values: np.ndarray) -> bool:
        return bool(np.allclose(yours[ends], values[ends], atol=1e-9))

    with np.errstate(divide="ignore", invalid="ignore"):
        if like(due):
            return "where both clips give the same, there is no way to go and no share of it: return float('nan')."
        if like(1 - due):
            return "it is upside down: 0 should mean that the patch did nothing."
        if like(patched - own):
            return "this is the bare difference: divide by what a change to the other clip would bring."
        if like((patched - own) / np.abs(own)) or like((patched - own) / own):
            return "it is scaled by the clip's own value: the scale is the way from own to other."
        if like((patched - own) / np.abs(other - own)):
            return "the sign is wrong where the other clip lies below: take no absolute value of the way."
        if like(np.abs(due)):
            return "the sign is lost: a patch that works against the other clip is negative."
        if like(np.clip(due, 0, 1)):
            return "it is cut off at 0 and 1: patches may overshoot, and that is worth seeing."
        if like(patched / other):
            return "this is a ratio of the two: neither end of the scale is where it should be."
    return "how far is it from own to patched, as a share of the way from own to other?"


EXERCISES = (
    Exercise(
        id="07.ablate",
        title="Overwrite a moment",
        difficulty=1,
        importance=5,
        minutes=4,
        hint="Copy the states; the mean over dimension 0 is one value per channel; assign it to the rows from first "
        "up to, not including, stop.",
        judge=judge_ablate,
    ),
    Exercise(
        id="07.rank",
        title="Compare two orders",
        difficulty=3,
        importance=3,
        minutes=6,
        hint="Ranks are np.argsort(np.argsort(values)); then np.corrcoef of both series of ranks.",
        judge=judge_rank,
    ),
    Exercise(
        id="07.patch_effect",
        title="A scale for patches",
        difficulty=2,
        importance=4,
        minutes=3,
        hint="Both the numerator and the denominator are measured from the clip's own value; mind the case in which "
        "the denominator is 0.",
        judge=judge_patch_effect,
    ),
    Exercise(
        id="07.selectivity",
        title="What a probe is worth",
        difficulty=2,
        importance=3,
        minutes=4,
        hint="Accuracy is the mean of predicted == labels; the control has K rows, each with labels of its own.",
        judge=judge_selectivity,
    ),
    Exercise(
        id="07.listening",
        title="Is it listening?",
        difficulty=2,
        importance=5,
        minutes=5,
        hint="Take the clip's entry out, find the remaining one with the largest sum, and compare means.",
        judge=judge_listening,
    ),
)
