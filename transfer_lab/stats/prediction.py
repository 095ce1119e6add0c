"""What to expect: of one more training, and of an arm that was picked for its accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter

from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.intervals import Interval


def of_mean(found: Estimate, fitted: float, level: float = 0.95) -> Interval:
    """The true mean of an arm that was picked for its mean, around what was read where nothing was
    picked.

    The arm's own half-width and the distance of the two means, added up: where many arms are about
    equal, both means are off, mostly to opposite sides. No interval where an error is not known.
    """
    half = found.half(level)
    wider = None if half is None else half + abs(found.mean - fitted)
    return Interval(fitted, wider, found.seeds)


def of_one_training(
    found: Estimate,
    fitted: float,
    limits: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
) -> tuple[float, float] | None:
    """Between what the true score of one more training of such an arm lies, within the limits of
    such scores; None where an error is not known.

    As `of_mean`, with the spread of single trainings beside the error of their mean.
    """
    if not found.known:
        return None
    single = replace(found, over_seeds=found.over_seeds * (found.seeds + 1))
    reach = single.reach((1 - level) / 2) + abs(found.mean - fitted)
    return max(limits[0], fitted - reach), min(limits[1], fitted + reach)


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
