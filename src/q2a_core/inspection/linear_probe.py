"""Linear probes: can a straight cut through the hidden states tell two classes apart, and is that more than luck?

A probe with as many weights as there are clips tells anything from anything on the clips it was fitted to. So it is
scored on clips it never saw, folds keep what belongs together on one side, and beside it stand the same probes fitted
to shuffled labels: what they reach is what chance and the size of the probe give. NumPy only.
"""

from dataclasses import dataclass

import numpy as np

from q2a_core.intervals import wilson

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Ridge penalties tried, in units of the number of features; each fit takes the best at leaving one example out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """A share with its 95 % Wilson interval."""

    value: float
    low: float
    high: float
    count: int
    """Independent cases that it rests on: for a probe its groups, which are fewer than its examples."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LayerProbe:
    """What a linear probe finds in one layer's states."""

    layer: int
    """0 is the embedding, k the output of block k."""
    accuracy: Share
    """Of clips held out from the fit."""
    control: float
    """Mean accuracy of the same procedure on shuffled labels."""
    control_range: tuple[float, float]
    """Between these lie 95 % of the shuffles."""
    weights: np.ndarray
    """(D,) the probe's own direction, length 1, in the coordinates of the states."""
    means: np.ndarray
    """(2, D) mean state of each class."""

    def direction(self, kind: str = "probe") -> np.ndarray:
        """(D,) from class 0 to class 1, as long as the means of the classes lie apart, whichever kind it is.

        "probe" is along the weights: the best cut, which also undoes what varies for other reasons. "means" leads from
        one mean to the other: what the states themselves do. Raises ValueError for another kind.
        """
        apart = self.means[1] - self.means[0]
        if kind == "means":
            return apart
        if kind != "probe":
            raise ValueError(f"kind is {kind!r}; expected 'probe' or 'means'")
        return self.weights * float(np.linalg.norm(apart))

    def reading(self, states: np.ndarray) -> np.ndarray:
        """Where states (..., D) lie along the weights: -1 is the mean of class 0, 1 that of class 1."""
        along = self.means @ self.weights
        half = (along[1] - along[0]) / 2
        middle = (along[1] + along[0]) / 2
        return (states @ self.weights - middle) / (half if half > 0 else 1.0)


def probe_layer(
    states: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    layer: int,
    rng: np.random.Generator,
    folds: int = 5,
    shuffles: int = 20,
) -> LayerProbe:
    """Fit and judge a probe on states (N, D) with labels (N,) of 0 and 1.

    Examples of one group (N,) are never on both sides of a cut: two prompts about one clip, two clips with the same
    words. `rng` draws the folds and the shuffles. Raises ValueError if a class is missing.
    """
    if set(np.unique(labels).tolist()) != {0, 1}:
        raise ValueError(f"labels hold {np.unique(labels).tolist()}; expected both 0 and 1")
    states = np.asarray(states, dtype=np.float64)
    shuffled = [rng.permutation(labels) for _ in range(shuffles)]
    targets = 2.0 * np.stack([labels, *shuffled], axis=1) - 1.0  # (N, 1 + shuffles)
    right = np.zeros_like(targets)
    for held_out in group_folds(groups, folds, rng):
        weights, offset = fit_ridge(states[~held_out], targets[~held_out])
        scores = states[held_out] @ weights + offset
        # undecided is half right: states that are all the same then give one half exactly
        right[held_out] = 0.5 + 0.5 * np.sign(scores) * np.sign(targets[held_out])
    control = right[:, 1:].mean(axis=0)
    weights, _ = fit_ridge(states, targets[:, :1])
    length = float(np.linalg.norm(weights))
    low, high = np.percentile(control, (2.5, 97.5)) if shuffles else (0.5, 0.5)
    return LayerProbe(
        layer=layer,
        accuracy=share_of(float(right[:, 0].mean()), len(np.unique(groups))),
        control=float(control.mean()) if shuffles else 0.5,
        control_range=(float(low), float(high)),
        weights=weights[:, 0] / length if length > 0 else weights[:, 0],
        means=np.stack([states[labels == label].mean(axis=0) for label in (0, 1)]),
    )


def group_folds(groups: np.ndarray, folds: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Masks (N,) of the examples held out in each fold: whole groups, in random order to the smallest fold.

    Fewer folds if there are fewer groups. Raises ValueError for a single group.
    """
    names, members = np.unique(groups, return_counts=True)
    if len(names) < 2:
        raise ValueError("all examples are of one group; expected at least two to hold one out")
    sizes = np.zeros(min(folds, len(names)))
    fold_of = np.zeros(len(names), dtype=int)
    for place in rng.permutation(len(names)):
        fold_of[place] = int(sizes.argmin())
        sizes[fold_of[place]] += members[place]
    of_example = fold_of[np.searchsorted(names, groups)]
    return [of_example == fold for fold in range(len(sizes))]


def fit_ridge(states: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression of targets (N, K) on standardised states (N, D): weights (D, K) and offsets (K,).

    Columns hold 1 and -1; a score of 0 lies midway between the two classes' mean scores, however many of each there
    are. Each column takes the penalty of PENALTIES that predicts best what is left out, one example at a time. Solved
    in the space of the examples, so that 4,096 features cost no more than 128.
    """
    mean, spread = states.mean(axis=0), states.std(axis=0)
    # a feature that never moves says nothing, and one that moves by rounding alone must not be blown up
    floor = 1e-6 * max(float(spread.max(initial=0.0)), 1e-12)
    scale = np.where(spread > floor, 1.0 / np.maximum(spread, floor), 0.0)
    features = (states - mean) * scale
    wanted = targets - targets.mean(axis=0)
    values, vectors = np.linalg.eigh(features @ features.T)
    rotated = vectors.T @ wanted
    best = np.full(targets.shape[1], np.inf)
    chosen = np.zeros_like(wanted)
    for penalty in PENALTIES:
        inverse = 1.0 / (np.maximum(values, 0.0) + penalty * states.shape[1])
        dual = vectors @ (inverse[:, None] * rotated)
        # the offset is not held down: the constant column has no part in the diagonal
        diagonal = np.square(vectors).dot(inverse) - 1.0 / (len(states) * penalty * states.shape[1])
        left_out = dual / diagonal[:, None]  # residual of each example
        error = np.square(left_out).mean(axis=0)
        better = error < best
        best = np.where(better, error, best)
        chosen[:, better] = dual[:, better]
    weights = scale[:, None] * (features.T @ chosen)
    scores = states @ weights
    positive = targets > 0
    upper = np.where(positive, scores, 0.0).sum(axis=0) / positive.sum(axis=0).clip(min=1)
    lower = np.where(positive, 0.0, scores).sum(axis=0) / (~positive).sum(axis=0).clip(min=1)
    return weights, -(upper + lower) / 2


def share_of(value: float, count: int) -> Share:
    """The share `value` of `count` cases with its interval, which stays honest near 0 and 1."""
    low, high = wilson(value, count)
    return Share(value=value, low=low, high=high, count=count)
