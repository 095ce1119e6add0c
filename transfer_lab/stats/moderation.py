"""Variances of few seeds each, made steadier by what all of them have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_LEAST = 1e-4
"""Of the median: smaller variances count as so large, or their logarithms would rule the fit."""
_FEWEST = 3


class Prior(NamedTuple):
    """What is known of a variance before its own seeds are looked at: `variance` of one seed's
    value, worth as much as so many degrees of freedom."""

    freedom: float
    variance: float


def fit_prior(
    variances: Sequence[float], freedoms: Sequence[float], independent: float | None = None
) -> Prior | None:
    """The prior under which such variances scatter as these do (empirical Bayes).

    Moments of log-variances, which follow Fisher's F around the prior's (Smyth 2004).
    `independent`: as how many independent ones they count, as where one arm is in many pairs
    (default: all of them). Few tell the prior badly: then their scatter is taken to be larger, and
    the prior to be worth no more than half of what the others hold; the intervals of a small grid
    would else be too short. A variance of zero, that of two arms which are the same, tells
    nothing. None with fewer than three that are independent.
    """
    import numpy as np
    from scipy.special import digamma, polygamma

    known = [(v, d) for v, d in zip(variances, freedoms, strict=True) if v > 0 and d > 0]
    count = min(len(known), len(known) if independent is None else independent)
    if count < _FEWEST:
        return None
    found, freedom = np.array(known).T
    logs = np.log(np.maximum(found, _LEAST * np.median(found)))
    logs += np.log(freedom / 2) - digamma(freedom / 2)
    mean = float(logs.mean())
    scatter = float(((logs - mean) ** 2).mean()) * (count + 1) / (count - 1)
    excess = scatter - float(polygamma(1, freedom / 2).mean())
    most = float(freedom.mean()) * (count - 1) / 2
    if excess <= 0:
        return Prior(most, float(found @ freedom / freedom.sum()))
    worth = 2 * inverse_trigamma(excess)
    variance = math.exp(mean + float(digamma(worth / 2)) - math.log(worth / 2))
    return Prior(min(worth, most), variance)


def inverse_trigamma(value: float) -> float:
    """The x at which trigamma is `value`, by Newton's steps on 1 / trigamma, which is convex."""
    from scipy.special import polygamma

    if value > 1e7:
        return value**-0.5
    if value < 1e-6:
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if -step / x < 1e-10:
            break
    return x
