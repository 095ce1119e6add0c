"""What to expect: of one more training, and of an arm that was picked for its accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter

from transfer_lab.stats.estimates import Estimate


def of_one_training(found: Estimate, level: float = 0.95) -> tuple[float, float] | None:
    """Between what the true accuracy of one more training lies, within 0 and 1; None where an
    error is not known.

    The spread of single trainings and the error of their mean, by Student's t, and the error of
    the test images, added in quadrature as in an interval of the mean.
    """
    if not found.known:
        return None
    single = replace(found, over_seeds=found.over_seeds * (found.seeds + 1))
    reach = single.reach((1 - level) / 2)
    return max(0.0, found.mean - reach), min(1.0, found.mean + reach)


def cross_fitted(arms: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """By seed, the accuracy there of the arm whose mean over its other seeds is the highest of all
    arms that have the seed and another; the first of equals.

    Their mean is that of an arm picked on one seed less, without the optimism of reading an
    accuracy where it was picked.
    """
    found = {}
    known = [(arm, math.fsum(arm.values()), len(arm) - 1) for arm in arms if len(arm) > 1]
    for seed in sorted({seed for arm, _, _ in known for seed in arm}):
        # Rounded: of means that are equal but for their last digits the first counts.
        here = [
            (round((total - arm[seed]) / others, 12), arm[seed])
            for arm, total, others in known
            if seed in arm
        ]
        found[seed] = max(here, key=itemgetter(0))[1]
    return found
