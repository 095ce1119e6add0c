"""Intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """A mean over n seeds and the half-width of its confidence interval (None when n < 2)."""

    mean: float
    half: float | None
    n: int


def t_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's t interval for the mean; raises ValueError without values or with a NaN.

    With few seeds a percentile bootstrap covers far less than its nominal level; t does not.
    """
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    n = len(values)
    if n == 0 or any(math.isnan(v) for v in values):
        raise ValueError("an interval needs at least one value, and no NaN")
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, None, 1)
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    return Interval(mean, float(stdtrit(n - 1, (1 + level) / 2)) * spread / math.sqrt(n), n)


def wilson(share: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share seen in n independent trials, which may be a fraction;
    (0, 1) where n is 0.

    >>> [round(end, 3) for end in wilson(0.9, 100, 0.9)]
    [0.838, 0.94]
    """
    from scipy.special import ndtri  # scipy.stats takes a second to import

    if n <= 0:
        return 0.0, 1.0
    z2 = float(ndtri((1 + level) / 2)) ** 2
    middle = share + z2 / (2 * n)
    half = math.sqrt(z2 * share * (1 - share) / n + z2**2 / (4 * n**2))
    scale = 1 + z2 / n
    # At shares of 0 and 1 the end is the share itself, which rounding must not move.
    low = 0.0 if share <= 0 else max(0.0, (middle - half) / scale)
    return low, 1.0 if share >= 1 else min(1.0, (middle + half) / scale)
