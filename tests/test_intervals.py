"""Intervals of shares against scipy's and against printed ones."""

import pytest
from scipy.stats import binomtest

from q2a_core.intervals import wilson


@pytest.mark.parametrize(("right", "asked"), [(0, 1), (0, 32), (1, 1), (32, 32), (18, 20), (3, 7)])
def test_wilson_is_scipys(right, asked):
    due = binomtest(right, asked).proportion_ci(method="wilson")
    assert wilson(right / asked, asked) == pytest.approx((due.low, due.high), abs=1e-6)


def test_wilson_against_known_values():
    """From the formula in Wilson (1927), as printed for 8 of 10 and 10 of 10."""
    assert wilson(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-3)
    assert wilson(1.0, 10) == (pytest.approx(0.7225, abs=1e-3), 1.0)
    assert wilson(0.0, 10) == (0.0, pytest.approx(0.2775, abs=1e-3))
