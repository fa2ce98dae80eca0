"""Probes on data with a known answer: a planted direction is found, noise gives chance, and leaks do not count."""

import numpy as np
import pytest

from q2a_core.inspection.linear_probe import PENALTIES, fit_ridge, group_folds, probe_layer

CASES = 200


def planted(features: int, strength: float, seed: int = 0):
    """Noise (N, D) and labels (N,), with a class difference along a hidden direction."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(CASES) % 2)
    hidden = rng.standard_normal(features)
    hidden /= np.linalg.norm(hidden)
    states = rng.standard_normal((CASES, features))
    return states + strength * (2 * labels[:, None] - 1) * hidden, labels, hidden


def probe(states, labels, groups=None, seed=1, **options):
    groups = np.arange(len(labels)) if groups is None else groups
    rng = np.random.default_rng(seed)
    return probe_layer(states, labels, groups, layer=3, rng=rng, **options)


@pytest.mark.parametrize("features", [16, 512])
def test_a_planted_direction_is_found(features):
    states, labels, hidden = planted(features, 3.0)
    found = probe(states, labels)
    assert found.layer == 3
    assert found.accuracy.value > 0.95
    assert found.accuracy.low > 0.9
    assert abs(found.control - 0.5) < 0.05
    assert found.control_range[1] < found.accuracy.low
    assert np.linalg.norm(found.weights) == pytest.approx(1.0)
    assert found.weights @ hidden > 0.6  # of a random direction: within 0.1 of 0
    for kind in ("probe", "means"):
        direction = found.direction(kind)
        assert np.linalg.norm(direction) == pytest.approx(6.0, rel=0.15)
        assert direction @ hidden > 3.5
    readings = found.reading(states)
    assert readings[labels == 1].mean() == pytest.approx(1.0)
    assert readings[labels == 0].mean() == pytest.approx(-1.0)


@pytest.mark.parametrize("features", [4, 512])
def test_noise_gives_chance(features):
    """With 512 features a probe is perfect on what it was fitted to; held out it must not be."""
    values = [probe(*planted(features, 0.0, seed)[:2], shuffles=0).accuracy for seed in range(10)]
    assert abs(np.mean([share.value for share in values]) - 0.5) < 0.04
    assert sum(share.low <= 0.5 <= share.high for share in values) >= 8


def test_states_that_are_all_the_same_give_one_half_exactly():
    labels = np.arange(30) % 2
    found = probe(np.ones((30, 8)), labels)
    assert found.accuracy.value == 0.5
    assert found.control == 0.5
    assert not found.direction("probe").any()
    assert np.isfinite(found.reading(np.ones((30, 8)))).all()


def test_what_belongs_together_does_not_leak():
    """Twins have the same noise and a label drawn for the pair: only a probe that saw one knows the other."""
    rng = np.random.default_rng(0)
    states = np.repeat(rng.standard_normal((60, 300)), 2, axis=0)
    labels = np.repeat(np.arange(60) % 2, 2)
    leaking = probe(states, labels)
    kept_apart = probe(states, labels, np.repeat(np.arange(60), 2))
    assert leaking.accuracy.value > 0.85
    assert abs(kept_apart.accuracy.value - 0.5) < 0.15
    assert kept_apart.accuracy.count == 60


def test_folds_hold_out_whole_groups_once():
    rng = np.random.default_rng(0)
    groups = rng.choice(["a", "b", "c", "d", "e", "f", "g"], 90)
    folds = group_folds(groups, 5, rng)
    assert len(folds) == 5
    assert (np.sum(folds, axis=0) == 1).all()
    for name in set(groups):
        assert sum(fold[groups == name].any() for fold in folds) == 1
    assert len(group_folds(np.array(["a", "b"]), 5, rng)) == 2
    with pytest.raises(ValueError, match="one group"):
        group_folds(np.array(["a", "a"]), 5, rng)


def test_ridge_is_the_textbook_solution_for_its_penalty(monkeypatch):
    """One penalty left to choose: compare with the normal equations of standardised features."""
    states, labels, _ = planted(6, 0.5)
    states = states * np.array([1, 10, 0.1, 3, 1, 1]) + 5
    monkeypatch.setattr("q2a_core.inspection.linear_probe.PENALTIES", (2.0,))
    weights, offset = fit_ridge(states, (2.0 * labels - 1)[:, None])
    features = (states - states.mean(0)) / states.std(0)
    target = 2.0 * labels - 1 - (2.0 * labels - 1).mean()
    expected = np.linalg.solve(features.T @ features + 2.0 * 6 * np.eye(6), features.T @ target)
    np.testing.assert_allclose(weights[:, 0], expected / states.std(0), atol=1e-9)
    scores = states @ weights[:, 0] + offset[0]
    assert scores[labels == 1].mean() == pytest.approx(-scores[labels == 0].mean())


@pytest.mark.parametrize(("examples", "seed"), [(50, 0), (23, 3), (23, 7), (12, 1)])
def test_the_penalty_is_the_one_that_predicts_best_left_out(examples, seed, monkeypatch):
    """Left-out residuals by the closed form equal those of fits, offset included, that really leave one out."""
    module = "q2a_core.inspection.linear_probe.PENALTIES"
    states, labels, _ = planted(40, 0.8)
    some = np.random.default_rng(seed).permutation(len(labels))[:examples]
    states, target = states[some], (2.0 * labels - 1)[some, None]
    features = (states - states.mean(0)) / states.std(0)
    errors = {}
    for penalty in PENALTIES:
        residuals = []
        for left in range(examples):
            rest = np.arange(examples) != left
            centre, offset = features[rest].mean(0), target[rest].mean()
            known = features[rest] - centre
            kernel = known.T @ known + penalty * 40 * np.eye(40)
            fit = np.linalg.solve(kernel, known.T @ (target[rest] - offset))
            residuals.append(target[left] - offset - (features[left] - centre) @ fit)
        errors[penalty] = float(np.square(residuals).mean())
    best = min(errors, key=errors.__getitem__)
    monkeypatch.setattr(module, tuple(errors))
    chosen, _ = fit_ridge(states, target)
    monkeypatch.setattr(module, (best,))
    expected, _ = fit_ridge(states, target)
    np.testing.assert_allclose(chosen, expected)


def test_the_same_seed_gives_the_same_probe():
    states, labels, _ = planted(20, 0.4)
    first, second, other = (probe(states, labels, seed=seed) for seed in (1, 1, 2))
    assert first.accuracy == second.accuracy
    assert first.control == second.control
    assert (first.accuracy, first.control) != (other.accuracy, other.control)


def test_wrong_labels_and_kinds_are_refused():
    with pytest.raises(ValueError, match="expected both"):
        probe(np.ones((4, 2)), np.zeros(4, dtype=int))
    states, labels, _ = planted(4, 1.0)
    with pytest.raises(ValueError, match="probe"):
        probe(states, labels).direction("other")
