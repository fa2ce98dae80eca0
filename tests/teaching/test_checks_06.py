"""Planted answers for lesson 06: usual mistakes are caught by name, right answers pass however they are written."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from q2a_core.teaching.checks import check
from q2a_core.training.losses import dpo_loss


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))


def right_loss(pc, pr, rc, rr, beta):
    return -F.logsigmoid(beta * ((pc - rc) - (pr - rr))).mean()


def loss_in_numpy(pc, pr, rc, rr, beta):
    margins = beta * ((pc - pr) - (rc - rr)).double().numpy()
    return float(np.mean(np.logaddexp(0.0, -margins)))


logs = F.logsigmoid
WRONG_LOSSES = {
    "the reference is forgotten": lambda pc, pr, rc, rr, b: -logs(b * (pc - pr)).mean(),
    "chosen and rejected are exchanged": lambda pc, pr, rc, rr, b: right_loss(pr, pc, rr, rc, b),
    "beta is forgotten": lambda pc, pr, rc, rr, b: right_loss(pc, pr, rc, rr, 1.0),
    "beta stands outside": lambda pc, pr, rc, rr, b: b * right_loss(pc, pr, rc, rr, 1.0),
    "the sign": lambda *args: -right_loss(*args),
    "one minus the sigmoid": lambda pc, pr, rc, rr, b: (
        1 - torch.sigmoid(b * ((pc - rc) - (pr - rr)))
    ).mean(),
    "minus the sigmoid": lambda pc, pr, rc, rr, b: (
        -torch.sigmoid(b * ((pc - rc) - (pr - rr))).mean()
    ),
    "the references are exchanged": lambda pc, pr, rc, rr, b: right_loss(pc, pr, rr, rc, b),
    "the rejected reply is forgotten": lambda pc, pr, rc, rr, b: -logs(b * (pc - rc)).mean(),
    "the sum over the pairs": lambda pc, pr, rc, rr, b: -logs(b * ((pc - rc) - (pr - rr))).sum(),
    "before the sigmoid": lambda pc, pr, rc, rr, b: -logs(b * ((pc - rc) - (pr - rr)).mean()),
    "one loss for each": lambda pc, pr, rc, rr, b: -logs(b * ((pc - rc) - (pr - rr))),
    "no number": lambda pc, pr, rc, rr, b: (
        -torch.log(torch.sigmoid(b * ((pc - rc) - (pr - rr)))).mean()
    ),
}


def right_margins(pc, pr, rc, rr, beta):
    margins = beta * ((pc - rc) - (pr - rr))
    return margins, (margins > 0).float().mean()


def margins_in_numpy(pc, pr, rc, rr, beta):
    margins = beta * (pc - pr - rc + rr).numpy()
    return margins.tolist(), sum(bool(m > 0) for m in margins) / len(margins)


def margins_in_one_sum(pc, pr, rc, rr, beta):
    margins = beta * (pc + rr - rc - pr)
    return margins, (margins > 0).float().mean()


def with_accuracy(share):
    def answer(*args):
        margins, _ = right_margins(*args)
        return margins, share(margins, *args)

    return answer


WRONG_MARGINS = {
    "beta is forgotten": lambda pc, pr, rc, rr, b: right_margins(pc, pr, rc, rr, 1.0),
    "the reference is forgotten": lambda pc, pr, rc, rr, b: (b * (pc - pr), 0.5),
    "the sign": lambda pc, pr, rc, rr, b: right_margins(pr, pc, rr, rc, b),
    "reward alone": lambda pc, pr, rc, rr, b: (b * (pc - rc), 0.5),
    "the rewards are added": lambda pc, pr, rc, rr, b: (b * (pc - rc + pr - rr), 0.5),
    "a margin of 0 counts as won": with_accuracy(lambda m, *args: (m >= 0).float().mean()),
    "gained on the reference": with_accuracy(lambda m, pc, pr, *args: (pc > pr).float().mean()),
    "the number of pairs": with_accuracy(lambda m, *args: (m > 0).sum()),
    "in per cent": with_accuracy(lambda m, *args: 100 * (m > 0).float().mean()),
    "the wrong way": with_accuracy(lambda m, *args: (m < 0).float().mean()),
    "expected two things": lambda pc, pr, rc, rr, b: b * (pc - pr),
    "every pair has its own": lambda pc, pr, rc, rr, b: ((pc - pr)[:1].repeat(2), 0.5),
}


def right_drift(policy, reference):
    return (reference - policy).mean()


WRONG_DRIFTS = {
    "the sign, or the direction": lambda p, r: (p - r).mean(),
    "this is the sum": lambda p, r: (r - p).sum(),
    "noise alone looks like drift": lambda p, r: (r - p).abs().mean(),
    "squared": lambda p, r: ((r - p) ** 2).mean(),
    "once more": lambda p, r: (r.exp() * (r - p)).sum(),
    "a ratio of log-probabilities": lambda p, r: (r / p).mean(),
    "one a reply": lambda p, r: r - p,
}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("06.loss", right_loss),
        ("06.loss", loss_in_numpy),
        ("06.margins", right_margins),
        ("06.margins", margins_in_numpy),
        ("06.margins", margins_in_one_sum),
        ("06.drift", right_drift),
        ("06.drift", lambda p, r: float(np.mean(r.numpy() - p.numpy()))),
    ],
)
def test_right_answers_pass(name, answer):
    verdict = check(name, answer)
    assert verdict, verdict


@pytest.mark.parametrize(
    ("name", "phrase", "answer"),
    [
        *(("06.loss", *pair) for pair in WRONG_LOSSES.items()),
        *(("06.margins", *pair) for pair in WRONG_MARGINS.items()),
        *(("06.drift", *pair) for pair in WRONG_DRIFTS.items()),
    ],
)
def test_planted_mistakes_are_named(name, phrase, answer):
    verdict = check(name, answer)
    assert verdict.state == "wrong"
    assert phrase in verdict.message


@pytest.mark.parametrize("name", ["06.loss", "06.margins", "06.drift"])
def test_stubs_and_garbage_get_a_sentence(name):
    assert check(name, lambda *args: None).state == "unfilled"
    for garbage in (lambda *args: "far", lambda *args: {"a": 1}, 5):
        verdict = check(name, garbage)
        assert verdict.state == "wrong"
        assert "expected" in verdict.message


def test_an_untouched_policy_costs_log_2():
    still = torch.tensor([-3.0, -7.0])
    assert float(dpo_loss(still, still, still, still, beta=0.3).loss.mean()) == pytest.approx(
        math.log(2.0)
    )
