"""Trainings that failed: accuracies far below those of the same arm's other seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median_low, stdev

FAR = 0.10
"""Accuracies no farther apart than this, ten points, are never far below one another."""
SPREADS = 5
"""Nor are those no farther apart than so many usual spreads."""
FEWEST = 3
"""Seeds from which one can be told from the others."""


def usual_spread(arms: Iterable[Sequence[float]]) -> float:
    """The (lower) median over arms of the standard deviation over seeds, of those with three or
    more: few failed trainings do not move it. 0 without any."""
    spreads = [stdev(scores) for scores in arms if len(scores) >= FEWEST]
    return median_low(spreads) if spreads else 0.0


def far_below(scores: Sequence[float], spread: float) -> int:
    """How many of an arm's accuracies lie far below the others: below the widest gap between
    neighbours, if that is above ten points and above five usual spreads; none of two or one."""
    if len(scores) < FEWEST:
        return 0
    ordered = sorted(scores)
    gaps = [high - low for low, high in pairwise(ordered)]
    widest = max(gaps)
    return gaps.index(widest) + 1 if widest > max(FAR, SPREADS * spread) else 0
