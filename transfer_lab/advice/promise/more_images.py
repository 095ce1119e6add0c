"""What more photographs would bring."""

from __future__ import annotations

import math
from collections.abc import Sequence

from transfer_lab.advice.advice import MoreImages, Promise
from transfer_lab.advice.measured import Exponent, evidence

FACTORS = (2.0, 5.0)
FURTHEST = 5.0
_Z = 1.6449  # a normal's 95 % point: two sides make 90 %


def forecast(
    promise: Promise, factors: Sequence[float] = FACTORS, regime: str = "linear_probe"
) -> tuple[MoreImages, ...]:
    """The promise with that many times as many photographs: error falls as images^-exponent, which
    is the promise's own, or else that of other data sets.

    The interval holds the promise's own error and the exponent's spread: how far both move the
    logarithm of the error, as independent. Raises ValueError beyond five times, which nothing was
    measured for.
    """
    if too_far := [factor for factor in factors if not 1 <= factor <= FURTHEST]:
        raise ValueError(f"no forecast for {too_far[0]:g} times as many: 1 to {FURTHEST:g}")
    law = evidence().exponent(regime)
    if promise.exponent is not None and promise.exponent_spread is not None:
        law = Exponent(mean=promise.exponent, spread=promise.exponent_spread)
    return tuple(_one(promise, factor, law) for factor in factors)


def _one(promise: Promise, factor: float, law: Exponent) -> MoreImages:
    shift = law.mean * math.log(factor)
    doubt = _Z * law.spread * math.log(factor)
    error = max(1 - promise.value, 1e-9)
    middle = math.log(error) - shift
    down = math.hypot(math.log(error / max(1 - promise.high, 1e-9)), doubt)
    up = math.hypot(math.log(max(1 - promise.low, 1e-9) / error), doubt)
    return MoreImages(
        factor=factor,
        value=1 - math.exp(middle),
        low=1 - min(1.0, math.exp(middle + up)),
        high=1 - math.exp(middle - down),
    )
