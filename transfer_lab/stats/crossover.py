"""From which number of images one regime is better than another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from transfer_lab.stats.intervals import t_interval

_GRID = 256

Curve = Mapping[float, Mapping[int, float]]
"""Images per class -> seed -> accuracy."""


class Crossover(NamedTuple):
    """Where the later regime takes over for good, within the measured sizes.

    `size` is 0 where it is ahead at all of them, infinite where it is not ahead at the largest.
    `low` and `high` bound it: 0 and infinite where the data do not; both None where fewer than two
    seeds give no interval.
    """

    size: float
    low: float | None
    high: float | None
    seeds: int

    @property
    def within(self) -> bool:
        """Whether the curves cross within the measured range."""
        return 0 < self.size < math.inf


def crossover(earlier: Curve, later: Curve, level: float = 0.95) -> Crossover:
    """The size from which `later` stays above `earlier`, and a confidence set for it.

    Between measured sizes accuracies are taken to be linear in log n. Differences are paired by
    seed, over the seeds measured at every common size. The set holds every n at which Student's t
    interval of the difference holds zero (Fieller's way: it inverts the test), and is reported
    from its lowest to its highest n; with three or five seeds it covers what it says, which
    percentiles of resampled seeds do not. Raises ValueError with fewer than two common sizes, or
    without a common seed.
    """
    sizes = sorted(set(earlier) & set(later))
    if len(sizes) < 2:
        raise ValueError("a crossover needs at least two common sizes")
    seeds = sorted(set.intersection(*(set(curve[n]) for n in sizes for curve in (earlier, later))))
    if not seeds:
        raise ValueError("no seed was measured at all sizes")
    gaps = [[later[n][seed] - earlier[n][seed] for n in sizes] for seed in seeds]
    means = [math.fsum(gap[k] for gap in gaps) / len(gaps) for k in range(len(sizes))]
    size = takes_over(sizes, means)
    return Crossover(size, *_bounds(sizes, gaps, size, level), len(seeds))


def takes_over(sizes: Sequence[float], gaps: Sequence[float]) -> float:
    """The n from which the gap, linear in log n, stays above zero; 0 if always, inf if not at the
    end."""
    if gaps[-1] <= 0:
        return math.inf
    for k in range(len(sizes) - 2, -1, -1):
        if gaps[k] <= 0:
            share = -gaps[k] / (gaps[k + 1] - gaps[k])
            return sizes[k] * (sizes[k + 1] / sizes[k]) ** share
    return 0.0


def _bounds(
    sizes: Sequence[float], gaps: Sequence[Sequence[float]], size: float, level: float
) -> tuple[float | None, float | None]:
    """The lowest and highest n at which the seeds' mean gap may be zero; open at the ends of the
    range where it may be zero there."""
    if len(gaps) < 2:
        return None, None
    points = _between(sizes)
    undecided = [n for n, below, share in points if _may_be_zero(gaps, below, share, level)]
    if 0 < size < math.inf:
        undecided.append(size)  # the mean gap is zero there, whatever rounding says
    if not undecided:
        return (0.0, sizes[0]) if size == 0 else (sizes[-1], math.inf)
    low, high = min(undecided), max(undecided)
    return (0.0 if low == sizes[0] else low), (math.inf if high == sizes[-1] else high)


def _between(sizes: Sequence[float]) -> list[tuple[float, int, float]]:
    """Points even in log n: n, the measured size below it, and the share of the way to the next."""
    per_step = max(2, _GRID // (len(sizes) - 1))
    points = [
        (sizes[k] * (sizes[k + 1] / sizes[k]) ** (step / per_step), k, step / per_step)
        for k in range(len(sizes) - 1)
        for step in range(per_step)
    ]
    return [*points, (sizes[-1], len(sizes) - 2, 1.0)]


def _may_be_zero(gaps: Sequence[Sequence[float]], below: int, share: float, level: float) -> bool:
    mean, half, _ = t_interval([(1 - share) * g[below] + share * g[below + 1] for g in gaps], level)
    return abs(mean) <= half
