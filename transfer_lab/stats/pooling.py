"""Statements over several targets, and how probably an arm is the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.intervals import Interval, t_interval
from transfer_lab.stats.two_way import Crossed

DRAWS = 4000


class Pooled(NamedTuple):
    """A mean over targets: with its interval for these targets, and for others like them."""

    here: Interval
    elsewhere: Interval | None


def pooled(targets: Sequence[Estimate], *, level: float = 0.95) -> Pooled:
    """The mean of a quantity over targets, each with seeds and test images of its own.

    For these targets both errors add up, the seeds' with Welch and Satterthwaite's degrees of
    freedom. For other targets like these it is Student's t over the targets' means, which holds
    the levels below; None with fewer than three.
    """
    count = len(targets)
    mean = sum(one.mean for one in targets) / count
    if not all(one.known for one in targets):
        return Pooled(Interval(mean, None, count), None)
    seeds = [one.over_seeds / count**2 for one in targets]
    images = sum(one.over_images for one in targets) / count**2
    parts = sum(v**2 / (one.seeds - 1) for v, one in zip(seeds, targets, strict=True))
    fewest = min(one.seeds for one in targets)
    freedom = sum(seeds) ** 2 / parts if parts > 0 else fewest - 1
    here = Estimate(mean, sum(seeds), images, freedom + 1, min(one.images for one in targets))
    elsewhere = t_interval([one.mean for one in targets], level) if count > 2 else None
    return Pooled(Interval(mean, here.half(level), fewest), elsewhere)


def probability_best(found: Crossed, arm: int, draws: int = DRAWS) -> float:
    """How probably this arm has the highest true mean of all; equal ones share it."""
    drawn = found.draws(draws, np.random.default_rng(0))
    return float(_shared(drawn >= drawn.max(axis=1, keepdims=True) - 1e-12)[arm])


def _shared(wins: np.ndarray) -> np.ndarray:
    return (wins / wins.sum(axis=1, keepdims=True)).mean(axis=0)
