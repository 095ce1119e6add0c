"""Multiple comparisons with the best: what is guaranteed, by simulation of a known truth."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from transfer_lab.stats.bests import Bound, with_best
from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.moderation import Prior, fit_prior

EXACT = 10**9
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def paired(scores: np.ndarray, prior: Prior | None = None, level: float = 0.95) -> list[Bound]:
    """The comparison of arms by their scores by (arm, seed)."""
    arms, seeds = scores.shape

    def lead(one: int, over: int) -> Estimate:
        gap = scores[one] - scores[over]
        found = Estimate(gap.mean(), gap.var(ddof=1) / seeds, 0.0, seeds, EXACT)
        return found.moderated(prior)

    return with_best(arms, lead, level)


def prior_of(grids: list[np.ndarray]) -> Prior | None:
    variances, freedoms = [], []
    for scores in grids:
        arms, seeds = scores.shape
        for one in range(arms):
            for other in range(one):
                variances.append((scores[one] - scores[other]).var(ddof=1))
                freedoms.append(seeds - 1)
    return fit_prior(variances, freedoms, sum(len(scores) - 1 for scores in grids))


def gauss(chance: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return chance.normal(0, 0.015, shape)


def unequal(chance: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Spreads that differ eightfold from arm to arm."""
    spread = chance.permutation(np.geomspace(0.005, 0.04, shape[0]))
    return chance.normal(0, 1, shape) * spread[:, None]


def heavy(chance: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return 0.01 * chance.standard_t(3, shape)


def common(chance: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Seeds that are good or bad for all arms alike."""
    return chance.normal(0, 0.05, shape[1]) + chance.normal(0, 0.01, shape)


EQUAL, SPREAD, ONE_AHEAD = np.zeros(6), np.linspace(0, 0.03, 6), np.array([0.03] + [0.0] * 5)


@pytest.mark.parametrize("draw", [gauss, unequal, heavy, common])
@pytest.mark.parametrize("true", [EQUAL, SPREAD, ONE_AHEAD], ids=["equal", "spread", "one"])
def test_the_best_is_dropped_and_a_bound_is_wrong_once_in_twenty_times_at_most(draw, true):
    """Four scenarios of six arms and three seeds, variances moderated over all of them."""
    chance, runs, dropped, wrong, leads = np.random.default_rng(0), 200, 0, 0, 0
    for _ in range(runs):
        grids = [0.5 + true[:, None] + draw(chance, (6, 3)) for _ in range(4)]
        prior = prior_of(grids)
        for scores in grids:
            told = paired(scores, prior)
            best, leader = true.argmax(), scores.mean(1).argmax()
            dropped += told[best].ruled_out
            behind = true.max() - true
            wrong += any(b > t.at_most + 1e-12 for b, t in zip(behind, told, strict=True))
            leads += behind[leader] > told[leader].at_most + 1e-12
    room = 3 * math.sqrt(0.05 * 0.95 / (4 * runs))
    assert dropped / (4 * runs) <= 0.05 + room
    assert wrong / (4 * runs) <= 0.05 + room
    assert leads / (4 * runs) <= 0.05


@pytest.mark.parametrize("arms", [2, 5])
def test_a_single_scenario_keeps_the_limits_too(arms):
    chance, runs, failed = np.random.default_rng(1), 1500, 0
    for _ in range(runs):
        scores = gauss(chance, (arms, 3))
        told = paired(scores, prior_of([scores]))
        failed += told[0].ruled_out  # all are equally good, so that any of them is the best
    assert failed / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_with_the_variances_of_all_scenarios_bounds_are_much_closer():
    chance, plain, moderated = np.random.default_rng(2), [], []
    for _ in range(60):
        grids = [SPREAD[:, None] + gauss(chance, (6, 3)) for _ in range(4)]
        prior = prior_of(grids)
        for scores in grids:
            leader = scores.mean(1).argmax()
            plain.append(paired(scores)[leader].at_most)
            moderated.append(paired(scores, prior)[leader].at_most)
    assert np.median(moderated) < 0.6 * np.median(plain)


def test_bounds_are_those_of_one_sided_tests_spelt_out():
    scores = np.random.default_rng(3).normal(0, 0.02, (4, 5)) + np.array(
        [[0.0], [0.05], [0.2], [0.2]]
    )
    told = paired(scores, level=0.9)
    reach, ahead = {}, {}
    for one in range(4):
        for over in range(4):
            gap = scores[one] - scores[over]
            reach[one, over] = stats.t.isf(0.1 / 3, 4) * stats.sem(gap) if one != over else 0.0
            ahead[one, over] = gap.mean()
    out = [any(ahead[i, j] - reach[i, j] > 0 for i in range(4)) for j in range(4)]
    assert out == [True, True, False, False] == [one.ruled_out for one in told]
    for arm in range(4):
        ends = [ahead[i, arm] + reach[i, arm] for i in range(4) if not out[i]]
        assert told[arm].at_most == pytest.approx(max(0.0, *ends))


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=2, max_size=6))
def test_something_is_always_left_and_bounds_are_shares(rows):
    told = paired(np.array(rows))
    assert not all(one.ruled_out for one in told)
    assert all(0 <= one.at_most <= 1 for one in told)


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=2, max_size=5),
    st.randoms(),
)
def test_the_order_of_the_arms_does_not_matter(rows, chance):
    order = list(range(len(rows)))
    chance.shuffle(order)
    scores = np.array(rows)
    plain, shuffled = paired(scores), paired(scores[order])
    for place, arm in enumerate(order):
        assert shuffled[place].ruled_out == plain[arm].ruled_out
        assert shuffled[place].at_most == pytest.approx(plain[arm].at_most, abs=1e-9)


def test_a_higher_level_says_less():
    scores = np.random.default_rng(4).normal(0, 0.02, (5, 4)) + np.linspace(0, 0.1, 5)[:, None]
    few, many = paired(scores, level=0.9), paired(scores, level=0.99)
    for one, other in zip(few, many, strict=True):
        assert one.ruled_out >= other.ruled_out
        assert one.at_most <= other.at_most


def test_an_arm_alone_is_the_best_of_all_that_are_compared():
    assert with_best(1, lambda i, j: None) == [Bound(0.0, False)]


def test_what_cannot_be_compared_leaves_the_bound_open_unless_it_is_ruled_out():
    known = {(0, 1): Estimate(0.5, 1e-6, 0.0, 3, EXACT), (1, 2): Estimate(0.5, 1e-6, 0.0, 3, EXACT)}
    known[0, 2] = Estimate(0.9, None, 1e-4, 1, 100)
    first, second, third = with_best(3, lambda i, j: known[i, j])
    assert (first.at_most, first.ruled_out) == (0.0, False)  # the third is behind the second
    assert second.ruled_out and third.ruled_out and third.at_most is None
    known[1, 2] = Estimate(0.5, None, 1e-4, 1, 100)
    assert with_best(3, lambda i, j: known[i, j])[0].at_most is None
