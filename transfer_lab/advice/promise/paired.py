"""Two ways of answering the same photographs, compared photograph by photograph. No torch."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from transfer_lab.advice.measured import Gain

ENOUGH = 2.0
"""Standard errors that a lead must have to be one."""


class Lead(NamedTuple):
    """In mean recall of the classes, in points; `se`: its standard error over groups."""

    points: float
    se: float

    @property
    def is_clear(self) -> bool:
        """Whether it is more than chance would make of nothing."""
        return self.points > 0 and self.points >= ENOUGH * self.se

    @property
    def is_loss(self) -> bool:
        """Whether the other is clearly better."""
        return self.points < 0 and -self.points >= ENOUGH * self.se

    def expected(self, before: Gain) -> float:
        """What is left of it on new photographs, in points: the mean of what other data sets have
        shown and of what is seen here, each by its precision (a normal prior's posterior mean)."""
        return self._afterwards(before)[0]

    def hope(self, before: Gain) -> float:
        """Points to be won by whoever goes on and leaves it where it turns out to be a loss: the
        expected improvement of the same posterior (Mockus 1978)."""
        mean, spread = self._afterwards(before)
        if spread == 0:
            return max(mean, 0.0)
        density = math.exp(-((mean / spread) ** 2) / 2) / math.sqrt(2 * math.pi)
        return mean * float(ndtr(mean / spread)) + spread * density

    def _afterwards(self, before: Gain) -> tuple[float, float]:
        """Mean and standard deviation of the posterior."""
        if not math.isfinite(self.se):
            return before.mean, before.spread
        known, seen = before.spread**2, self.se**2
        weight = known / (known + seen) if known + seen > 0 else 1.0
        return before.mean + weight * (self.points - before.mean), math.sqrt(weight) * self.se


def paired_lead(
    right: np.ndarray, others_right: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> Lead:
    """How far the first way is ahead of the other on these photographs, one of them at least.

    `right`, `others_right` (n): whether each was answered right, or how often. Near-copies, of one
    group, are no evidence of their own: a group counts as one in the standard error.
    """
    classes, counts = np.unique(labels, return_inverse=True, return_counts=True)[1:]
    weights = 100 / (len(counts) * counts[classes])
    difference = weights * (right.astype(float) - others_right.astype(float))
    of_groups = np.bincount(np.unique(groups, return_inverse=True)[1], difference)
    n = len(of_groups)
    spread = n / (n - 1) * ((of_groups - of_groups.mean()) ** 2).sum() if n > 1 else np.inf
    return Lead(float(difference.sum()), float(np.sqrt(spread)))
