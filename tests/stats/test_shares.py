"""Intervals of a share: within 0 and 1, and as sure as they say, by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.shares import share_interval
from transfer_lab.stats.two_way import Crossed


def shown(right: np.ndarray) -> tuple[float, float]:
    found = Crossed.of(right[None], np.zeros(right.shape[1])).contrast([1])
    return share_interval(found)


def test_seeds_that_disagree_do_not_reach_beyond_all_or_nothing():
    """Recalls of 95, 45 and 25 %: Student's interval is 55 ± 90 %."""
    right = np.arange(20) < np.array([[19], [9], [5]])
    low, high = shown(right)
    assert 0 < low < 0.15
    assert 0.85 < high < 1


@pytest.mark.parametrize("hits", [0, 12])
def test_all_or_none_of_few_images_is_not_certain(hits):
    low, high = shown(np.arange(12)[None] < np.full((3, 1), hits))
    exact = stats.binomtest(hits, 12).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx(tuple(exact), abs=1e-12)


def test_of_one_network_on_many_images_it_is_wilsons():
    found = Estimate(0.3, 0.0, 0.3 * 0.7 / 10**6, 3, 10**6)
    exact = stats.binomtest(300_000, 10**6).proportion_ci(method="wilson")
    assert share_interval(found) == pytest.approx(tuple(exact), abs=1e-6)


def test_without_an_error_there_is_no_interval():
    assert share_interval(Estimate(0.3, None, 0.01, 1, 10)) is None


@pytest.mark.parametrize("ease", [0, 2, 4])
@pytest.mark.parametrize(("seed_sd", "image_sd"), [(0.2, 1), (0.7, 1.5), (0, 3)])
@pytest.mark.parametrize(("seeds", "images"), [(3, 10), (3, 60), (5, 20), (8, 100)])
def test_it_covers_the_true_share(ease, seed_sd, image_sd, seeds, images):
    """An image is answered rightly where ease, seed, image and luck, all normal, add up to more
    than nought."""
    chance, runs = np.random.default_rng(0), 400
    truth = stats.norm.cdf(ease / math.sqrt(seed_sd**2 + image_sd**2 + 1))
    hits = 0
    for _ in range(runs):
        level = ease + chance.normal(0, seed_sd, (seeds, 1)) + chance.normal(0, image_sd, images)
        low, high = shown(level + chance.normal(size=(seeds, images)) > 0)
        assert 0 <= low <= high <= 1
        hits += low <= truth <= high
    assert hits / runs > 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)
