"""Lesson 06: the preference loss, what it measures on the way, and how far it went."""

from typing import Any

import numpy as np

from q2a_core.teaching.checks.mistakes import named
from q2a_core.teaching.checks.numbers import agree, not_one_number, number
from q2a_core.teaching.exercise import Exercise, Verdict, call, passed, wrong

BETAS = (0.1, 0.5, 0.05, 1.0)
PAIRS = (3, 8, 5, 1)
FAR = 400.0
"""A difference of log-probabilities at which a sigmoid in float32 is 0."""


def judge_loss(answer: Any) -> Verdict:
    """The mean DPO loss of some pairs, as the package computes it."""
    import torch

    from q2a_core.training.losses import dpo_loss

    cases = [_logps(count, seed=seed) for seed, count in enumerate(PAIRS)]
    found, due = [], []
    for logps, beta in zip(cases, BETAS, strict=True):
        value = call(answer, *(x.clone() for x in logps), beta)
        size = getattr(value, "numel", lambda: 1)()
        if size == len(logps[0]) > 1:
            return wrong(
                f"the answer has one loss for each of {size} pairs; the step's loss is their mean."
            )
        verdict = not_one_number(value, "the mean loss over the pairs")
        if verdict is not None:
            return verdict
        found.append(number(value))
        due.append(float(dpo_loss(*logps, beta=beta).loss.mean()))
    rows = tuple(
        (f"{count} pairs, beta {beta:g}", f"{a:.4f}", f"{b:.4f}")
        for count, beta, a, b in zip(PAIRS, BETAS, found, due, strict=True)
    )
    if not all(agree(a, b) for a, b in zip(found, due, strict=True)):
        tables = [
            _loss_mistakes(*logps, beta=beta) for logps, beta in zip(cases, BETAS, strict=True)
        ]
        mistakes = {message: [table[message] for table in tables] for message in tables[0]}
        message = named(found, mistakes) or (
            "not this: how much more the policy prefers the chosen reply than the reference does, times beta, "
            "through -log sigmoid, and the mean of it."
        )
        return wrong(message, rows=rows)
    far = [torch.tensor([x]) for x in (-FAR, 0.0, 0.0, 0.0)]
    value = number(call(answer, *far, 1.0))
    if not agree(value, FAR):
        return wrong(
            f"right for small differences, but one of {FAR:g} nats gives {value}: the sigmoid becomes 0 and its "
            "logarithm is no number. logsigmoid does both in one.",
            rows=rows,
        )
    return passed("log 2 before the first step, and no model of rewards anywhere.", rows=rows)


def _logps(count: int, *, seed: int) -> list[Any]:
    """Log-probabilities of some pairs: policy's chosen and rejected, reference's chosen and rejected."""
    import torch

    generator = torch.Generator().manual_seed(100 + seed)
    reference = -4.0 - 3.0 * torch.rand(2, count, generator=generator)
    policy = reference + 1.5 * torch.randn(2, count, generator=generator)
    return [policy[0], policy[1], reference[0], reference[1]]


def _loss_mistakes(pc: Any, pr: Any, rc: Any, rr: Any, *, beta: float) -> dict[str, float]:
    import torch
    import torch.nn.functional as F

    right = (pc - rc) - (pr - rr)
    logs = F.logsigmoid
    values = {
        "the reference is forgotten: a pair counts by how much the policy moved, not by where it stood before.": -logs(
            beta * (pc - pr)
        ),
        "chosen and rejected are exchanged: this loss falls when the rejected reply gains.": -logs(
            -beta * right
        ),
        "beta is forgotten: it says how many nats of departure a preference is worth.": -logs(
            right
        ),
        "beta stands outside of the logarithm; it scales the difference inside of the sigmoid.": -beta
        * logs(right),
        "the sign: log sigmoid is below 0, and a loss is to be made smaller.": logs(beta * right),
        "the logarithm is missing: this is one minus the sigmoid.": 1 - torch.sigmoid(beta * right),
        "the logarithm is missing: this is minus the sigmoid.": -torch.sigmoid(beta * right),
        "the references are exchanged: each reply is compared with what the reference gave the same reply.": -logs(
            beta * ((pc - rr) - (pr - rc))
        ),
        "the rejected reply is forgotten: the loss compares two replies.": -logs(beta * (pc - rc)),
    }
    found = {message: float(losses.mean()) for message, losses in values.items()}
    found["the sum over the pairs; the loss is their mean."] = float(-logs(beta * right).sum())
    found[
        "the mean is taken before the sigmoid: each pair has a loss of its own, and those are averaged."
    ] = float(-logs(beta * right.mean()))
    return found


def judge_margins(answer: Any) -> Verdict:
    """Reward margins of the pairs, and the share above 0."""
    from q2a_core.training.losses import dpo_loss

    cases = [_logps(count, seed=10 + seed) for seed, count in enumerate(PAIRS)]
    # in eighths, so that these margins are 0 in whatever order the four are added up
    still = [(8 * logps).round() / 8 for logps in _logps(4, seed=30)]
    still[0], still[1] = still[2].clone(), still[3].clone()
    cases.append(still)
    betas = (*BETAS, 0.1)
    margins, shares, due = [], [], []
    for logps, beta in zip(cases, betas, strict=True):
        given = call(answer, *(x.clone() for x in logps), beta)
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            return wrong(
                f"the answer is a {type(given).__name__}; expected two things: the margins, and the share above 0."
            )
        size = np.size(_plain(given[0]))
        if size != len(logps[0]):
            return wrong(
                f"{size} margins came back for {len(logps[0])} pairs; every pair has its own."
            )
        verdict = not_one_number(given[1], "the reward accuracy, the second thing,")
        if verdict is not None:
            return verdict
        margins.append(_plain(given[0]).reshape(-1))
        shares.append(number(given[1]))
        due.append(dpo_loss(*logps, beta=beta))
    wanted = [_plain(loss.margin) for loss in due]
    if not all(agree(a, b) for a, b in zip(margins, wanted, strict=True)):
        return wrong(_margin_mistake(margins, cases, betas), yours=margins[1], expected=wanted[1])
    accuracies = [float(loss.accuracy.mean()) for loss in due]
    rows = tuple(
        (f"{len(logps[0])} pairs", f"{a:.2f}", f"{b:.2f}")
        for logps, a, b in zip(cases, shares, accuracies, strict=True)
    )
    if not all(agree(a, b) for a, b in zip(shares, accuracies, strict=True)):
        mistakes = {
            "a margin of 0 counts as won: before the first step every margin is 0, and the accuracy would be 100 %.": [
                float((m >= 0).mean()) for m in wanted
            ],
            "this is how often the policy prefers the chosen reply; the reward accuracy asks whether it gained on "
            "the reference's.": [float(_plain(c[0] > c[1]).mean()) for c in cases],
            "this is the number of pairs; the accuracy is a share.": [
                float((m > 0).sum()) for m in wanted
            ],
            "this is the share of pairs that went the wrong way.": [
                float((m < 0).mean()) for m in wanted
            ],
            "this is in per cent; give a share between 0 and 1.": [100 * a for a in accuracies],
        }
        message = (
            named(shares, mistakes) or "the margins are right; the accuracy is the share above 0."
        )
        return wrong(message, rows=rows)
    return passed("The margin says how far, the accuracy how often.", rows=rows)


def _margin_mistake(found: list[Any], cases: list[Any], betas: tuple[float, ...]) -> str:
    pairs = list(zip(cases, betas, strict=True))
    mistakes = {
        "beta is forgotten: a reward is beta times the log-ratio.": [
            _plain((c[0] - c[2]) - (c[1] - c[3])) for c, _ in pairs
        ],
        "the reference is forgotten: a reward is how much likelier a reply became, not how likely it is.": [
            b * _plain(c[0] - c[1]) for c, b in pairs
        ],
        "the sign: the chosen reply's reward minus the rejected one's.": [
            -b * _plain((c[0] - c[2]) - (c[1] - c[3])) for c, b in pairs
        ],
        "this is the chosen reply's reward alone; the margin is its distance to the rejected one's.": [
            b * _plain(c[0] - c[2]) for c, b in pairs
        ],
        "the rewards are added; the margin is their difference.": [
            b * _plain((c[0] - c[2]) + (c[1] - c[3])) for c, b in pairs
        ],
    }
    return named(found, mistakes) or (
        "the margins are not these: beta times (policy minus reference) of the chosen reply, minus the same of the "
        "rejected one."
    )


def judge_drift(answer: Any) -> Verdict:
    """KL(reference || policy) in nats per reply, estimated from replies that the reference drew."""
    cases = [_logps(count, seed=20 + seed) for seed, count in enumerate((4, 9, 16))]
    pairs = [(policy, reference) for policy, _, reference, _ in cases]
    found, due = [], []
    for policy, reference in pairs:
        value = call(answer, policy.clone(), reference.clone())
        size = getattr(value, "numel", lambda: 1)()
        if size == len(policy):
            return wrong(f"{size} values came back, one a reply; the drift is their mean.")
        verdict = not_one_number(value, "the drift in nats per reply")
        if verdict is not None:
            return verdict
        found.append(number(value))
        due.append(float((reference - policy).mean()))
    rows = tuple(
        (f"{len(p)} replies", f"{a:.4f}", f"{b:.4f}")
        for (p, _), a, b in zip(pairs, found, due, strict=True)
    )
    if all(agree(a, b) for a, b in zip(found, due, strict=True)):
        return passed("0 while nothing moved; a few samples may even give less than 0.", rows=rows)
    mistakes = {
        "the sign, or the direction: the replies were drawn by the reference, so they are likelier to it on average.": [
            -value for value in due
        ],
        "this is the sum; the drift is per reply.": [float((r - p).sum()) for p, r in pairs],
        "the absolute value is taken of every reply: then noise alone looks like drift. The mean log-ratio is the "
        "estimate.": [float((r - p).abs().mean()) for p, r in pairs],
        "the ratio is squared: that measures distance, but it is no KL.": [
            float(((r - p) ** 2).mean()) for p, r in pairs
        ],
        "each reply is weighed by its probability once more: drawing them has done so already.": [
            float((r.exp() * (r - p)).sum()) for p, r in pairs
        ],
        "this is a ratio of log-probabilities; the logarithm of a ratio is a difference.": [
            float((r / p).mean()) for p, r in pairs
        ],
    }
    message = named(found, mistakes) or (
        "not this: for every reply the reference's log-probability minus the policy's, and the mean of it."
    )
    return wrong(message, rows=rows)


def _plain(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype=np.float64)


EXERCISES = (
    Exercise(
        id="06.loss",
        title="The preference loss",
        difficulty=3,
        importance=5,
        minutes=7,
        hint="Two log-ratios, policy minus reference; their difference times beta goes through "
        "`-torch.nn.functional.logsigmoid`.",
        judge=judge_loss,
    ),
    Exercise(
        id="06.margins",
        title="Margins and reward accuracy",
        difficulty=2,
        importance=4,
        minutes=5,
        hint="A reply's reward is beta * (policy - reference). The margin is one reward minus the other.",
        judge=judge_margins,
    ),
    Exercise(
        id="06.drift",
        title="How far it went",
        difficulty=2,
        importance=4,
        minutes=4,
        hint="KL(reference || policy) is the mean, over replies drawn by the reference, of log reference - log policy.",
        judge=judge_drift,
    ),
)
