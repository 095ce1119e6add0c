"""The random-effects summary against published numbers, other formulas, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.pooling import pooled
from transfer_lab.stats.targets import over_targets

BCG = """
    4 119 11 128 6 300 29 274 3 228 11 209 62 13536 248 12619 33 5036 47 5761 180 1361 372 1079
    8 2537 10 619 505 87886 499 87892 29 7470 45 7232 17 1699 65 1600 186 50448 141 27197
    5 2493 3 2338 27 16886 29 17825
"""
"""Thirteen trials of the BCG vaccine (Colditz et al. 1994): tuberculosis and none, vaccinated and
not."""


@pytest.fixture(scope="module")
def bcg() -> tuple[np.ndarray, np.ndarray]:
    """Log risk ratios and their variances."""
    a, b, c, d = np.array(BCG.split(), float).reshape(-1, 4).T
    return np.log(a / (a + b) / (c / (c + d))), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def test_the_published_summary_of_the_bcg_trials_is_found(bcg):
    """Mean and variance between trials, as metafor's documentation prints them (REML)."""
    found = over_targets(*bcg)
    assert found.mean == pytest.approx(-0.7145, abs=5e-5)
    assert found.between**2 == pytest.approx(0.3132, abs=5e-5)


def test_the_interval_is_that_of_weighted_least_squares_with_an_unknown_scale(bcg):
    """Which is what Hartung and Knapp's is; and that of the next is wider by what lies between."""
    y, v = bcg
    found = over_targets(y, v)
    scale = np.sqrt(1 / (v + found.between**2))
    _, covariance = np.polyfit(np.zeros(13) + 1.0, y, 0, w=scale, cov=True)
    assert found.half == pytest.approx(stats.t.isf(0.025, 12) * math.sqrt(covariance.item()))
    spread = math.sqrt(found.between**2 + covariance.item())
    assert found.predicted >= stats.t.isf(0.025, 11) * spread


def test_the_likelihood_is_at_its_highest(bcg):
    """By a search that knows the likelihood alone."""
    y, v = bcg

    def minus_likelihood(between: float) -> float:
        w = 1 / (v + between)
        mean = w @ y / w.sum()
        return (np.log(v + between).sum() + np.log(w.sum()) + w @ (y - mean) ** 2) / 2

    best = optimize.minimize_scalar(minus_likelihood, bounds=(0, 5), options={"xatol": 1e-10})
    assert over_targets(y, v).between ** 2 == pytest.approx(best.x, abs=1e-6)


def test_equally_known_targets_are_averaged_as_students_t_does():
    y = np.random.default_rng(0).normal(0.05, 0.04, 6)
    found = over_targets(y, np.full(6, 1e-7))
    assert found.mean == pytest.approx(y.mean())
    assert found.half == pytest.approx(stats.sem(y) * stats.t.isf(0.025, 5))
    assert found.between**2 == pytest.approx(y.var(ddof=1) - 1e-7, rel=1e-6)
    spread = math.sqrt(found.between**2 + stats.sem(y) ** 2)
    assert found.predicted == pytest.approx(stats.t.isf(0.025, 4) * spread)


def test_targets_that_agree_better_than_chance_have_no_variance_between_them():
    assert over_targets([0.1, 0.1001, 0.0999], [1e-4, 2e-4, 1e-4]).between == 0


def test_two_targets_say_nothing_of_others():
    with pytest.raises(ValueError, match="fewer than 3 targets"):
        over_targets([0.1, 0.2], [1e-4, 1e-4])


@pytest.mark.parametrize("between", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("targets", [3, 5, 10])
def test_both_intervals_cover_where_variances_are_known(targets, between):
    chance, runs = np.random.default_rng(targets), 1000
    mean = following = 0
    for _ in range(runs):
        sd = chance.uniform(0.01, 0.02, targets)
        true = chance.normal(0.05, between, targets)
        found = over_targets(true + chance.normal(0, sd), sd**2)
        mean += abs(found.mean - 0.05) <= found.half
        following += abs(found.mean - chance.normal(0.05, between)) <= found.predicted
    least = 0.95 - 3.5 * math.sqrt(0.95 * 0.05 / runs)
    assert mean / runs > least
    assert following / runs > least


def test_targets_that_depend_on_one_another_are_averaged_and_count_once():
    means = [0.10, 0.14, 0.05, 0.02]
    found = [Estimate(mean, 1e-4, 1e-4, 3, 100) for mean in means]
    told = pooled(found, ["one run", "one run", "another", "a third"]).elsewhere
    exact = [0.12, 0.05, 0.02]
    assert told.targets == 3
    assert told.mean == pytest.approx(np.mean(exact))
    assert told.half == pytest.approx(stats.t.isf(0.025, 2) * stats.sem(exact))
    assert pooled(found, ["one run"] * 4).elsewhere is None
    assert pooled(found, ["one run"] * 4).here == pooled(found).here
