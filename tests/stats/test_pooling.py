"""Pooled statements and the probability of being best, by simulation where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.pooling import pooled, probability_best
from transfer_lab.stats.two_way import Crossed


def measured(
    chance: np.random.Generator, *, true: np.ndarray, seeds: int, seed_sd: float, common: float
) -> Crossed:
    """Arms whose seeds scatter, with an error of the test set of known size beside it."""
    scores = true[:, None] + chance.normal(0, seed_sd, (len(true), seeds))
    shift = chance.normal(0, common, len(true))
    found = Crossed.of_scores(scores + shift[:, None], 1000)
    return Crossed(found.means, found.over_seeds, np.eye(len(true)) * common**2, seeds, 10**9)


@pytest.mark.parametrize(("targets", "seeds"), [(1, 3), (4, 3), (2, 5)])
def test_an_interval_for_these_targets_covers(targets, seeds):
    chance, runs, hits = np.random.default_rng(targets), 1500, 0
    true = np.array([0.5, 0.45])
    for _ in range(runs):
        found = [
            measured(chance, true=true, seeds=seeds, seed_sd=0.03, common=0.01).contrast([1, -1])
            for _ in range(targets)
        ]
        here = pooled(found).here
        hits += abs(here.mean - 0.05) <= here.half
    assert 0.95 - 3.5 * math.sqrt(0.95 * 0.05 / runs) < hits / runs <= 0.985


@pytest.mark.parametrize("targets", [3, 6])
def test_an_interval_over_targets_covers_other_targets_and_the_one_for_these_does_not(targets):
    chance, runs, hits, narrow = np.random.default_rng(targets), 1500, 0, 0
    for _ in range(runs):
        found = []
        for gain in chance.normal(0.05, 0.05, targets):
            true = np.array([0.5 + gain, 0.5])
            one = measured(chance, true=true, seeds=3, seed_sd=0.01, common=0.005)
            found.append(one.contrast([1, -1]))
        told = pooled(found)
        hits += abs(told.elsewhere.mean - 0.05) <= told.elsewhere.half
        narrow += abs(told.here.mean - 0.05) <= told.here.half
    room = 3.5 * math.sqrt(0.95 * 0.05 / runs)
    assert abs(hits / runs - 0.95) < room
    assert narrow / runs < 0.95 - room


def test_two_targets_say_nothing_of_others():
    assert pooled([Estimate(0.1, 1e-4, 1e-4, 3, 100)] * 2).elsewhere is None


def test_one_target_is_its_own_estimate():
    found = Estimate(0.1, 1e-4, 2e-4, 3, 100)
    told = pooled([found]).here
    assert told.mean == pytest.approx(found.mean)
    assert told.half == pytest.approx(found.half())


def test_without_a_second_seed_somewhere_there_is_a_mean_and_no_interval():
    told = pooled([Estimate(0.1, None, 1e-4, 1, 100), Estimate(0.3, 1e-4, 1e-4, 3, 100)])
    assert told == ((pytest.approx(0.2), None, 2), None)


def test_the_probability_that_the_better_of_two_is_best_is_one_minus_its_p():
    chance = np.random.default_rng(2)
    scores = chance.normal([[0.5], [0.48]], 0.02, (2, 4))
    found = Crossed.of_scores(scores, 10**9)
    p = stats.ttest_rel(*scores, alternative="greater").pvalue
    assert probability_best(found, 0, draws=40_000) == pytest.approx(1 - p, abs=0.01)


def test_probabilities_of_being_best_add_up_to_one():
    chance = np.random.default_rng(3)
    found = measured(chance, true=np.full(5, 0.5), seeds=3, seed_sd=0.02, common=0.01)
    assert sum(probability_best(found, arm) for arm in range(5)) == pytest.approx(1)


def test_equal_arms_share_it():
    found = Crossed.of_scores(np.array([[0.5, 0.6], [0.5, 0.6]]), 100)
    same = Crossed(found.means, found.over_seeds, np.full((2, 2), 0.01), 2, 100)
    assert probability_best(same, 0) == pytest.approx(0.5)


def test_it_is_as_sure_as_it_is_right():
    """Arms whose true means are drawn from a wide prior: what is called best at 70 to 95 % is
    best about that often."""
    chance, told, right = np.random.default_rng(5), [], []
    for _ in range(1200):
        true = chance.normal(0.5, 0.04, 3)
        found = measured(chance, true=true, seeds=5, seed_sd=0.04, common=0.01)
        arm = int(found.means.argmax())
        chances = probability_best(found, arm, draws=400)
        if 0.7 < chances < 0.95:
            told.append(chances)
            right.append(true.argmax() == arm)
    assert len(told) > 200
    assert np.mean(right) == pytest.approx(np.mean(told), abs=0.08)
