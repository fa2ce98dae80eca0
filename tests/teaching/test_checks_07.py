"""Lesson 07's checks: right answers pass however they are written, each usual mistake gets its own sentence."""

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau, rankdata, spearmanr

from q2a_core.teaching.checks import exercises_of
from q2a_core.teaching.exercise import judged

EXERCISES = {exercise.id: exercise for exercise in exercises_of("07")}


def verdict(name, answer):
    return judged(EXERCISES[name], answer)


def put(states, first, stop, values):
    edited = states.clone()
    edited[first:stop] = values
    return edited


def ablate(states, first, stop):
    return put(states, first, stop, states.mean(dim=0))


def ablate_in_place(states, first, stop):
    states[first:stop] = states.mean(dim=0)
    return states


def ablate_by_where(states, first, stop):
    place = torch.arange(len(states))[:, None]
    return torch.where((place >= first) & (place < stop), states.mean(0), states)


def pearson(a, b):
    return np.corrcoef(a, b)[0, 1]


def ranks(values):
    return np.argsort(np.argsort(values))


def rank(a, b):
    return pearson(ranks(a), ranks(b))


def rank_by_differences(a, b):
    n = len(a)
    return 1 - 6 * ((rankdata(a) - rankdata(b)) ** 2).sum() / (n * (n * n - 1))


def rank_in_place(a, b):
    found = rank(a, b)
    a.sort()
    return found


def effect(patched, own, other):
    return float("nan") if other == own else (patched - own) / (other - own)


def scaled(function):
    """A wrong effect that minds the case without a way."""
    return lambda p, o, t: float("nan") if t == o else function(p, o, t)


def selectivity(predicted, labels, predicted_shuffled, shuffled):
    return (predicted == labels).mean() - (predicted_shuffled == shuffled).mean()


def selectivity_by_loop(predicted, labels, predicted_shuffled, shuffled):
    pairs = zip(predicted_shuffled, shuffled, strict=True)
    control = [sum(p == y for p, y in zip(*pair, strict=True)) / len(labels) for pair in pairs]
    return 1 - np.mean(predicted != labels) - sum(control) / len(control)


def parts(logps):
    return logps["clip"], [value for name, value in logps.items() if name != "clip"]


def listening(logps):
    clip, rivals = parts(logps)
    return clip.mean() - max(rivals, key=lambda rival: rival.sum()).mean()


def listening_by_totals(logps):
    totals = {name: float(sum(value)) for name, value in logps.items()}
    clip = totals.pop("clip")
    return (clip - max(totals.values())) / len(logps["clip"])


def of_parts(function):
    return lambda logps: function(*parts(logps))


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("07.ablate", ablate),
        ("07.ablate", ablate_by_where),
        ("07.rank", rank),
        ("07.rank", rank_by_differences),
        ("07.rank", lambda a, b: spearmanr(a, b).statistic),
        ("07.patch_effect", effect),
        ("07.patch_effect", lambda p, o, t: 1 - (t - p) / (t - o) if t - o else np.nan),
        ("07.selectivity", selectivity),
        ("07.selectivity", selectivity_by_loop),
        ("07.listening", listening),
        ("07.listening", listening_by_totals),
        *(
            (name, lambda *given, right=right: np.array([right(*given)]))
            for name, right in (
                ("07.rank", rank),
                ("07.patch_effect", effect),
                ("07.selectivity", selectivity),
                ("07.listening", listening),
            )
        ),
    ],
)
def test_right_answers_pass(name, answer):
    found = verdict(name, answer)
    assert found.state == "passed", found.message


WRONG = [
    ("07.ablate", lambda s, a, b: s.clone(), "nothing was overwritten"),
    ("07.ablate", lambda s, a, b: put(s, a, b, 0.0), "these are zeros"),
    ("07.ablate", lambda s, a, b: put(s, a, b + 1, s.mean(0)), "one token too many"),
    ("07.ablate", lambda s, a, b: put(s, a + 1, b + 1, s.mean(0)), "begins one token late"),
    ("07.ablate", lambda s, a, b: put(s, a, b, s[a:b].mean(0)), "mean of the range itself"),
    ("07.ablate", lambda s, a, b: put(s, a, b, s.mean(1)[a:b, None]), "over the channels"),
    (
        "07.ablate",
        lambda s, a, b: put(s.mean(0).expand_as(s), a, b, s[a:b]),
        "everything but the range",
    ),
    ("07.ablate", lambda s, a, b: put(s, 0, len(s), s.mean(0)), "the whole clip"),
    ("07.ablate", ablate_in_place, "damaged clip"),
    ("07.ablate", lambda s, a, b: torch.cat([s[:a], s[b:]]), "keeps its length"),
    ("07.ablate", lambda s, a, b: put(s, a, b, s.median(0).values), "rows first to stop - 1 hold"),
    ("07.rank", pearson, "the values themselves"),
    ("07.rank", lambda a, b: pearson(np.argsort(a), np.argsort(b)), "argsort lists which"),
    ("07.rank", lambda a, b: kendalltau(a, b).statistic, "Kendall"),
    ("07.rank", lambda a, b: -rank(a, b), "turned round"),
    ("07.rank", lambda a, b: rank(a, b) ** 2, "this is the square"),
    ("07.rank", lambda a, b: abs(rank(a, b)), "the sign is lost"),
    ("07.rank", lambda a, b: float(ranks(a) @ ranks(b)), "between -1 and 1"),
    ("07.rank", lambda a, b: 0.3, "rank both series"),
    ("07.rank", rank_in_place, "in another order now"),
    ("07.patch_effect", scaled(lambda p, o, t: 1 - effect(p, o, t)), "upside down"),
    ("07.patch_effect", lambda p, o, t: p - o, "the bare difference"),
    ("07.patch_effect", scaled(lambda p, o, t: (p - o) / abs(o)), "the clip's own value"),
    ("07.patch_effect", scaled(lambda p, o, t: (p - o) / abs(t - o)), "no absolute value"),
    ("07.patch_effect", scaled(lambda p, o, t: abs(effect(p, o, t))), "the sign is lost"),
    (
        "07.patch_effect",
        scaled(lambda p, o, t: min(max(effect(p, o, t), 0), 1)),
        "cut off at 0 and 1",
    ),
    ("07.patch_effect", lambda p, o, t: p / t, "this is a ratio"),
    ("07.patch_effect", lambda p, o, t: 0.0 if t == o else effect(p, o, t), "float('nan')"),
    ("07.patch_effect", lambda p, o, t: 0.5, "as a share of the way"),
    (
        "07.selectivity",
        lambda p, y, q, z: (p == y).mean() - (q == y).mean(),
        "scored on the true labels",
    ),
    ("07.selectivity", lambda p, y, q, z: (p == y).mean() - 0.5, "not one half"),
    (
        "07.selectivity",
        lambda p, y, q, z: (p == y).mean() - max(y.mean(), 1 - y.mean()),
        "the larger class",
    ),
    ("07.selectivity", lambda p, y, q, z: (p == y).mean(), "the accuracy alone"),
    (
        "07.selectivity",
        lambda p, y, q, z: (p == y).mean() - (q == z).mean(1).max(),
        "the luckiest shuffle",
    ),
    ("07.selectivity", lambda p, y, q, z: (p == y).mean() / (q == z).mean(), "this is a ratio"),
    ("07.selectivity", lambda *a: -selectivity(*a), "turned round"),
    ("07.selectivity", lambda *a: 100 * selectivity(*a), "in percent"),
    ("07.selectivity", lambda *a: 0.0, "minus the mean accuracy of the control"),
    ("07.listening", lambda logps: -listening(logps), "turned round"),
    ("07.listening", lambda logps: listening(logps) * len(logps["clip"]), "the sum over the reply"),
    (
        "07.listening",
        of_parts(lambda c, r: c.mean() - np.mean([x.mean() for x in r])),
        "the average rival",
    ),
    (
        "07.listening",
        of_parts(lambda c, r: c.mean() - min(x.mean() for x in r)),
        "the worst rival",
    ),
    (
        "07.listening",
        of_parts(lambda c, r: (c - np.max(r, axis=0)).mean()),
        "another rival for each token",
    ),
    (
        "07.listening",
        lambda logps: logps["clip"].mean() - max(x.mean() for x in logps.values()),
        "among its own rivals",
    ),
    (
        "07.listening",
        of_parts(lambda c, r: np.exp(c).mean() - np.exp(max(r, key=lambda x: x.sum())).mean()),
        "these are probabilities",
    ),
    ("07.listening", lambda logps: logps["clip"].mean(), "the clip alone"),
    ("07.listening", lambda logps: 0.0, "minus that under the rival"),
]


@pytest.mark.parametrize(("name", "answer", "phrase"), WRONG, ids=[f"{n}-{p}" for n, _, p in WRONG])
def test_each_usual_mistake_has_its_own_sentence(name, answer, phrase):
    found = verdict(name, answer)
    assert found.state == "wrong"
    assert phrase in found.message


def test_every_exercise_has_three_planted_mistakes():
    for name in EXERCISES:
        assert sum(wrong[0] == name for wrong in WRONG) >= 3


@pytest.mark.parametrize("name", EXERCISES)
def test_a_stub_is_unfilled_and_garbage_gets_a_sentence(name):
    assert verdict(name, lambda *arguments: None).state == "unfilled"
    assert verdict(name, None).state == "unfilled"
    for garbage in (lambda *arguments: "garbage", lambda *arguments: object(), 7, "text"):
        found = verdict(name, garbage)
        assert found.state == "wrong"
        assert len(found.message.split()) > 5


def test_a_crash_is_named_with_its_words():
    found = verdict("07.patch_effect", lambda p, o, t: (p - o) / 0)
    assert "your code raised ZeroDivisionError" in found.message


def test_the_commonest_answer_hears_of_the_clips_that_agree():
    found = verdict("07.patch_effect", lambda p, o, t: (p - o) / (t - o))
    assert found.state == "wrong"
    assert "there is no way to go" in found.message
    assert "float('nan')" in found.message
