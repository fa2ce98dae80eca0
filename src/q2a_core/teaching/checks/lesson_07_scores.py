"""Lesson 07's two scores: what the clip adds to a reply, and what a probe finds beyond its control."""

from collections.abc import Callable
from typing import Any

import numpy as np

from q2a_core.teaching.checks.numbers import number
from q2a_core.teaching.exercise import Verdict, call, passed, wrong


def judge_listening(answer: Any) -> Verdict:
    """Nats a token by which the clip beats its best rival."""
    rng = np.random.default_rng(1)
    heard = np.array([-0.1, -0.2, -0.3, -0.4])
    cases: list[tuple[str, dict[str, np.ndarray]]] = [
        ("the clip explains it", {"clip": heard, "silence": heard - 5, "noise": heard - 2}),
        ("guessed", {"clip": heard, "silence": heard - 1, "no audio": heard + 0.05}),
        (
            "rivals that are good at other tokens",
            {
                "clip": np.array([-1.0, -1.0]),
                "silence": np.array([-0.5, -6.0]),
                "noise": np.array([-6.0, -0.7]),
            },
        ),
        ("one rival", {"clip": -rng.exponential(size=5), "no audio": -3 * rng.exponential(size=5)}),
        (
            "four rivals",
            {"clip": -rng.exponential(size=7) / 5}
            | {
                name: -rng.exponential(size=7) * scale
                for name, scale in (
                    ("silence", 3),
                    ("noise", 2),
                    ("another clip", 1.5),
                    ("no audio", 4),
                )
            },
        ),
    ]
    rows, yours, due = [], [], []
    for name, logps in cases:
        found = number(call(answer, {key: value.copy() for key, value in logps.items()}))
        wanted = _gain(logps)
        yours.append(found)
        due.append(wanted)
        rows.append((name, f"{found:.3f}", f"{wanted:.3f}"))
    if np.allclose(yours, due, atol=1e-6):
        return passed(
            "above 0 the clip was needed; at 0 or below, the reply came from somewhere else.",
            rows=tuple(rows),
        )
    return wrong(_listening_mistake(yours, [logps for _, logps in cases]), rows=tuple(rows))


def _rivals(logps: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [value for name, value in logps.items() if name != "clip"]


def _gain(logps: dict[str, np.ndarray]) -> float:
    from q2a_core.inspection.listening import Heard, Listening

    heard = tuple(Heard(condition=name, logps=value) for name, value in logps.items())
    return Listening(pieces=(), heard=heard).gain


def _listening_mistake(yours: list[float], cases: list[dict[str, np.ndarray]]) -> str:
    def like(function: Callable[[np.ndarray, list[np.ndarray]], float]) -> bool:
        values = [function(logps["clip"], _rivals(logps)) for logps in cases]
        return bool(np.allclose(yours, values, atol=1e-6))

    def best(rivals: list[np.ndarray]) -> np.ndarray:
        return max(rivals, key=np.sum)

    if like(lambda c, r: float(best(r).mean() - c.mean())):
        return "the sign is turned round: a reply that needs its clip should score above 0."
    if like(lambda c, r: float(c.sum() - best(r).sum())):
        return "this is the sum over the reply, so that long replies win: divide by the number of tokens."
    if like(lambda c, r: float(c.mean() - np.mean([x.mean() for x in r]))):
        return (
            "this takes the average rival: one good explanation without the clip is enough to doubt, so take the "
            "best one."
        )
    if like(lambda c, r: float(c.mean() - min(x.mean() for x in r))):
        return "this takes the worst rival, which any clip beats: take the one that explains the reply best."
    if like(lambda c, r: float((c - np.max(r, axis=0)).mean())):
        return (
            "this takes another rival for each token: a rival has to explain the whole reply, so choose one by "
            "its total."
        )
    if like(lambda c, r: float(c.mean() - max(x.mean() for x in [*r, c]))):
        return "the clip is among its own rivals, so that nothing is ever above 0: leave it out."
    if like(lambda c, r: float(np.exp(c).mean() - np.exp(best(r)).mean())):
        return "these are probabilities: stay with log-probabilities, or one impossible word counts for little."
    if like(lambda c, r: float(c.mean())):
        return "this is the clip alone: how sure a model is says nothing about why."
    return "mean log-probability under the clip, minus that under the rival with the largest total."


def judge_selectivity(answer: Any) -> Verdict:
    """Held-out accuracy minus the mean accuracy on shuffled labels."""
    rng = np.random.default_rng(2)
    rows, yours, due, drawn = [], [], [], []
    for name, share, right, count, shuffles in (
        ("even classes", 0.5, 0.9, 40, 8),
        ("one class in four", 0.25, 0.85, 60, 6),
        ("a probe that knows nothing", 0.5, 0.5, 40, 8),
        ("a large probe", 0.3, 1.0, 50, 5),
    ):
        labels = (rng.random(count) < share).astype(int)
        predicted = np.where(rng.random(count) < right, labels, 1 - labels)
        shuffled = np.stack([rng.permutation(labels) for _ in range(shuffles)])
        hit = rng.random(shuffled.shape) < 0.55
        predicted_shuffled = np.where(hit, shuffled, 1 - shuffled)
        drawn.append((predicted, labels, predicted_shuffled, shuffled))
        yours.append(number(call(answer, *(values.copy() for values in drawn[-1]))))
        due.append(float((predicted == labels).mean() - (predicted_shuffled == shuffled).mean()))
        rows.append((name, f"{yours[-1]:.3f}", f"{due[-1]:.3f}"))
    if np.allclose(yours, due, atol=1e-9):
        return passed(
            "what is left is more than chance and the size of the probe can give.", rows=tuple(rows)
        )
    return wrong(_selectivity_mistake(yours, due, drawn), rows=tuple(rows))


def _selectivity_mistake(yours: list[float], due: list[float], drawn: list[Any]) -> str:
    def like(function: Callable[..., float]) -> bool:
        return bool(np.allclose(yours, [function(*values) for values in drawn], atol=1e-9))

    def real(p: np.ndarray, y: np.ndarray) -> float:
        return float((p == y).mean())

    if like(lambda p, y, q, z: real(p, y) - real(q, y)):
        return (
            "the control probes are scored on the true labels: each was fitted to its own shuffled labels and is "
            "scored on them."
        )
    if like(lambda p, y, q, z: real(p, y) - 0.5):
        return "the control is not one half: with uneven classes or a large probe, chance is more. Use the shuffles."
    if like(lambda p, y, q, z: real(p, y) - max(y.mean(), 1 - y.mean())):
        return (
            "this takes the larger class as control: use what probes reach on the shuffled labels."
        )
    if like(lambda p, y, q, z: real(p, y)):
        return (
            "this is the accuracy alone: what a probe reaches on shuffled labels has to come off."
        )
    if like(lambda p, y, q, z: real(p, y) - max((q == z).mean(axis=1))):
        return "this takes the luckiest shuffle: the control is the mean over the shuffles."
    if like(lambda p, y, q, z: real(p, y) / real(q, z)):
        return "this is a ratio: selectivity is the difference of the two accuracies."
    if np.allclose(np.negative(yours), due, atol=1e-9):
        return "the sign is turned round: a probe that beats its control is above 0."
    if np.allclose(yours, 100 * np.array(due), atol=1e-6):
        return "this is in percent: accuracies are shares from 0 to 1."
    return (
        "accuracy on the labels, minus the mean accuracy of the control probes on their own labels."
    )
