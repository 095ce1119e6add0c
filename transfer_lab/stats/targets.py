"""Targets as a sample of targets: what holds on average over others like them, and for the next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

FEWEST = 3
"""Independent targets from which anything is said of others."""
_STEPS = 10_000
_EXACT = 1e-12


class OverTargets(NamedTuple):
    """A mean over targets like these with the half-width of its interval, the standard deviation
    between true values of targets, and the half-width of an interval for the next target."""

    mean: float
    half: float
    between: float
    predicted: float
    targets: int


def over_targets(
    means: Sequence[float], variances: Sequence[float], level: float = 0.95
) -> OverTargets:
    """A random-effects summary of estimates of independent targets, whose own variances are known.

    The variance between targets by restricted maximum likelihood; the interval of the mean after
    Hartung and Knapp (2001) with k - 1 degrees of freedom; that of a new target after Higgins,
    Thompson and Spiegelhalter (2009) with k - 2, which is too short where few targets seem to agree
    (Partlett and Riley 2017), and therefore never narrower than Student's for the next measured
    value. Raises ValueError with fewer than three.
    """
    import numpy as np
    from scipy.special import stdtrit

    y, v = np.asarray(means, float), np.asarray(variances, float)
    count = len(y)
    if count < FEWEST:
        raise ValueError(f"of fewer than {FEWEST} targets nothing follows for others")
    v = np.maximum(v, _EXACT)
    between = _between(y, v)
    weights = 1 / (v + between)
    mean = float(weights @ y / weights.sum())
    error = float(weights @ (y - mean) ** 2 / ((count - 1) * weights.sum()))
    tail = (1 + level) / 2
    half = float(stdtrit(count - 1, tail)) * math.sqrt(error)
    next_true = float(stdtrit(count - 2, tail)) * math.sqrt(between + error)
    next_measured = float(stdtrit(count - 1, tail)) * math.sqrt(y.var(ddof=1) * (1 + 1 / count))
    return OverTargets(mean, half, math.sqrt(between), max(next_true, next_measured), count)


def _between(y: np.ndarray, v: np.ndarray) -> float:
    """The variance between targets, by Fisher's scoring of the restricted likelihood."""
    found = max(0.0, float(y.var(ddof=1) - v.mean()))
    for _ in range(_STEPS):
        w: np.ndarray = 1 / (v + found)
        total, squares = w.sum(), (w**2).sum()
        residual = y - w @ y / total
        # d/dt of the restricted log likelihood over its expected information.
        slope = w**2 @ residual**2 - total + squares / total
        information = squares - 2 * (w**3).sum() / total + (squares / total) ** 2
        step = float(slope / information)
        after = max(0.0, found + step)
        if abs(after - found) <= 1e-10 * (found + float(v.min())):
            return after
        found = after
    return found
