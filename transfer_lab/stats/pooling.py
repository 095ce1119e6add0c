"""Statements over several targets, and which arm or rule is best: draws at every level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Target:
    """All arms of one target, and what each rule follows in each of its places.

    `places`: for each place the indices of its arms. `followed`: by (rule, place) the index of
    the arm that the rule follows there.
    """

    arms: Crossed
    places: Sequence[Sequence[int]]
    followed: np.ndarray


def probability_of_least_regret(targets: Sequence[Target], draws: int = DRAWS) -> np.ndarray:
    """How probably following each rule everywhere loses least: a hierarchical bootstrap.

    Targets are drawn with replacement; within each, its seeds and test images are redrawn by
    Student and normal multipliers (three seeds resampled as they are would scatter far too
    little), jointly for all arms. A rule's regret is its mean distance to the best arm of a
    place; equal ones share the probability.
    """
    chance = np.random.default_rng(0)
    drawn = chance.multinomial(len(targets), [1 / len(targets)] * len(targets), size=draws)
    lost: np.ndarray = np.zeros((draws, targets[0].followed.shape[0]))
    for number, target in enumerate(targets):
        means = target.arms.draws(draws, chance)
        best = np.stack([means[:, list(arms)].max(axis=1) for arms in target.places], axis=1)
        regret = best[:, None, :] - means[:, target.followed]  # (draws, rules, places)
        lost = lost + drawn[:, number, None] * regret.sum(axis=2)
    return _shared(lost <= lost.min(axis=1, keepdims=True) + 1e-12)


def _shared(wins: np.ndarray) -> np.ndarray:
    return (wins / wins.sum(axis=1, keepdims=True)).mean(axis=0)
