"""Statements over several targets, and how probably an arm is the best."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.intervals import Interval
from transfer_lab.stats.targets import FEWEST, OverTargets, over_targets
from transfer_lab.stats.two_way import Crossed

DRAWS = 4000


class Pooled(NamedTuple):
    """A mean over targets: with its interval for these targets, and for others like them."""

    here: Interval
    elsewhere: OverTargets | None


def pooled(
    targets: Sequence[Estimate],
    clusters: Sequence[Hashable] | None = None,
    *,
    level: float = 0.95,
) -> Pooled:
    """The mean of a quantity over targets, each with seeds and test images of its own.

    For these targets both errors add up, the seeds' with Welch and Satterthwaite's degrees of
    freedom. For other targets like these it is a random-effects summary of the clusters (default:
    each target is its own), whose targets depend on one another, as on one source run, and are
    averaged first; None with fewer than three.
    """
    here = _mean(targets, level)
    if here.half is None:
        return Pooled(here, None)
    groups: dict[Hashable, list[Estimate]] = defaultdict(list)
    for cluster, one in zip(clusters or range(len(targets)), targets, strict=True):
        groups[cluster].append(one)
    if len(groups) < FEWEST:
        return Pooled(here, None)
    means = [sum(one.mean for one in group) / len(group) for group in groups.values()]
    # One variance for all: those of a few seeds each are too rough to weight by.
    inside = sum(map(_variance, groups.values())) / len(groups)
    return Pooled(here, over_targets(means, [inside] * len(groups), level))


def _variance(group: Sequence[Estimate]) -> float:
    """Of the mean of independently measured targets."""
    return sum(one.over_seeds + one.over_images for one in group) / len(group) ** 2


def _mean(targets: Sequence[Estimate], level: float) -> Interval:
    """Of these targets, whatever others are like."""
    count = len(targets)
    mean = sum(one.mean for one in targets) / count
    if not all(one.known for one in targets):
        return Interval(mean, None, count)
    seeds = [one.over_seeds / count**2 for one in targets]
    images = sum(one.over_images for one in targets) / count**2
    parts = sum(v**2 / (one.seeds - 1) for v, one in zip(seeds, targets, strict=True))
    fewest = min(one.seeds for one in targets)
    freedom = sum(seeds) ** 2 / parts if parts > 0 else fewest - 1
    here = Estimate(mean, sum(seeds), images, freedom + 1, min(one.images for one in targets))
    return Interval(mean, here.half(level), fewest)


def probability_best(found: Crossed, arm: int, draws: int = DRAWS) -> float:
    """How probably this arm has the highest true mean of all; equal ones share it."""
    drawn = found.draws(draws, np.random.default_rng(0))
    return float(_shared(drawn >= drawn.max(axis=1, keepdims=True) - 1e-12)[arm])


def _shared(wins: np.ndarray) -> np.ndarray:
    return (wins / wins.sum(axis=1, keepdims=True)).mean(axis=0)
