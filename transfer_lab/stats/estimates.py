"""A mean, and its errors over seeds and over test images."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from transfer_lab.stats.intervals import Interval
from transfer_lab.stats.moderation import Prior

_FAR = 1e-12
_MANY = 1e9
"""So many degrees of freedom are as good as any more."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its two squared standard errors; None where seeds or images cannot tell one.

    The error over seeds has `seeds` - 1 degrees of freedom and those that are `borrowed` from other
    variances like it.
    """

    mean: float
    over_seeds: float | None
    over_images: float | None
    seeds: float
    images: int
    borrowed: float = 0.0

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the error over seeds."""
        return min(self.seeds - 1 + self.borrowed, _MANY)

    def moderated(self, prior: Prior | None) -> Estimate:
        """The same with a variance over seeds between its own and the prior's, each weighted by
        its degrees of freedom (Smyth 2004); as it is where there is no prior or no second seed."""
        if prior is None or self.over_seeds is None:
            return self
        borrowed, own = min(prior.freedom, _MANY), self.seeds - 1
        weighted = borrowed * prior.variance / self.seeds + own * self.over_seeds
        return replace(self, over_seeds=weighted / (borrowed + own), borrowed=borrowed)

    @property
    def known(self) -> bool:
        """Whether both errors are."""
        return self.over_seeds is not None and self.over_images is not None

    def half(self, level: float = 0.95) -> float | None:
        """Half-width of the two-sided interval; None unless both errors are known.

        The half-widths of either error alone, Student's t over seeds and over images, added in
        quadrature (Howe 1974). Exact where one of them is nothing, a little too wide between,
        and never narrower than the seeds' own interval, unlike Welch and Satterthwaite's, whose
        degrees of freedom are too many with two or three seeds.
        """
        return self.reach((1 - level) / 2) if self.known else None

    def interval(self, level: float = 0.95) -> Interval:
        """The mean and its interval."""
        return Interval(self.mean, self.half(level), self.seeds)

    def p_above(self, bound: float = 0.0) -> float:
        """One-sided p of the test that the true mean is not above `bound`; 1 if errors are unknown.

        The smallest tail probability whose one-sided interval leaves the bound out.
        """
        from scipy.optimize import brentq

        if not self.known:
            return 1.0
        distance = self.mean - bound
        if abs(distance) < _FAR:
            return 1.0 if self.reach(0.25) < _FAR else 0.5
        if distance < 0:
            return 1.0 - self._tail(-distance, brentq)
        return self._tail(distance, brentq)

    def equal_within(self, margin: float, level: float = 0.05) -> bool:
        """Whether the true mean lies within ± margin, by two one-sided tests."""
        return self.negative.p_above(-margin) <= level and self.p_above(-margin) <= level

    @property
    def negative(self) -> Estimate:
        """The same difference, taken the other way round."""
        return replace(self, mean=-self.mean)

    def reach(self, tail: float) -> float:
        """How far the one-sided interval of this tail probability reaches from the mean."""
        from scipy.special import stdtrit

        seeds = float(stdtrit(self.freedom, tail)) ** 2 * self.over_seeds
        images = float(stdtrit(self.images - 1, tail)) ** 2 * self.over_images
        return math.sqrt(seeds + images)

    def _tail(self, distance: float, solve: object) -> float:
        if self.reach(_FAR) <= distance:
            return 0.0
        return math.exp(
            solve(lambda u: self.reach(math.exp(u)) - distance, math.log(_FAR), math.log(0.5))
        )
