"""Intervals of shares: what a count of right answers says about the share it was drawn from."""

import math

Z = 1.959964
"""Standard deviations on either side that hold 95 % of a normal distribution."""


def wilson(share: float, asked: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share of `asked` cases (Wilson 1927). It has a width at 0 and at 1, too."""
    spread = Z**2 / asked
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    # rounding must not push an end beyond the value that it belongs to
    return min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share)
