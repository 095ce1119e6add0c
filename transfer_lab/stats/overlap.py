"""What overlapping training subsets hide from an interval over seeds."""

from __future__ import annotations

import math


def understated(overlap: float, seeds: int) -> float:
    """By which factor the spread of seeds understates the variance that new training images bring
    to their mean, where two subsets share this part of their images.

    The effects of two subsets are then correlated by it: the mean of k has the variance
    (1 + (k - 1) f) / k of one, and their sample variance over k expects (1 - f) / k of it; the
    ratio is 1 + k f / (1 - f) (Nadeau & Bengio 2003). Infinite where all seeds learn from the same
    images. Raises ValueError unless f is in [0, 1].
    """
    if not 0 <= overlap <= 1:
        raise ValueError(f"an overlap is a share between 0 and 1, not {overlap}")
    return math.inf if overlap == 1 else 1 + seeds * overlap / (1 - overlap)
