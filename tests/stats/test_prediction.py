"""What to expect: intervals that hold what they say, by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.moderation import fit_prior
from transfer_lab.stats.prediction import cross_fitted, of_mean, of_one_training

EXACT = 10**9


@pytest.mark.parametrize("seeds", [2, 3, 8])
@pytest.mark.parametrize("images", [0.0, 0.01])
@pytest.mark.parametrize("heavy", [False, True])
def test_one_more_training_lies_in_its_interval(seeds, images, heavy):
    """Of every arm of a grid, with variances moderated over its arms; the error of the test images
    is one that seeds do not show. Three trainings do not know a heavy tail."""
    chance, hits, runs, arms = np.random.default_rng(seeds), 0, 60, 30
    for _ in range(runs):
        draw = chance.standard_t(4, (arms, seeds + 1)) / math.sqrt(2) if heavy else None
        unit = chance.normal(0, 1, (arms, seeds + 1)) if draw is None else draw
        scores = 0.5 + unit * np.sqrt(0.0004 * 6 / chance.chisquare(6, arms))[:, None]
        shift = chance.normal(0, images, arms) if images else np.zeros(arms)
        found = [
            Estimate(row.mean(), row.var(ddof=1) / seeds, images**2, seeds, EXACT)
            for row in scores[:, :seeds] + shift[:, None]
        ]
        prior = fit_prior([one.over_seeds * seeds for one in found], [seeds - 1] * arms)
        for one, true in zip(found, scores[:, seeds], strict=True):
            low, high = of_one_training(one.moderated(prior), one.mean)
            hits += low <= true <= high
    count = runs * arms
    least = 0.92 if heavy else 0.95 - 3.5 * math.sqrt(0.95 * 0.05 / count)
    assert least < hits / count < 0.985


def test_the_range_of_three_trainings_holds_the_next_one_half_of_the_time():
    """Why an interval is printed and not that range."""
    scores = np.random.default_rng(0).normal(0, 1, (4000, 4))
    inside = (scores[:, 3] > scores[:, :3].min(1)) & (scores[:, 3] < scores[:, :3].max(1))
    assert inside.mean() == pytest.approx(0.5, abs=0.03)


def test_without_an_error_of_the_images_it_is_the_textbooks_interval():
    scores = np.array([0.5, 0.52, 0.55, 0.51])
    found = Estimate(scores.mean(), scores.var(ddof=1) / 4, 0.0, 4, EXACT)
    reach = stats.t.ppf(0.975, 3) * scores.std(ddof=1) * math.sqrt(1 + 1 / 4)
    assert of_one_training(found, found.mean) == pytest.approx(
        (scores.mean() - reach, scores.mean() + reach)
    )


def test_it_ends_at_nought_and_at_one():
    assert of_one_training(Estimate(0.5, 0.5, 0.0, 3, EXACT), 0.5) == (0.0, 1.0)


def test_one_seed_predicts_nothing():
    assert of_one_training(Estimate(0.5, None, 1e-4, 1, 100), 0.5) is None
    assert cross_fitted([{0: 0.5}, {0: 0.7}]) == {}


def test_a_winner_is_read_on_the_seed_that_did_not_pick_it():
    """On the seeds 1 and 2 the second is ahead, on each of the other two pairs the first."""
    arms = [{0: 0.9, 1: 0.5, 2: 0.5}, {0: 0.1, 1: 0.6, 2: 0.6}]
    assert cross_fitted(arms) == {0: 0.1, 1: 0.5, 2: 0.5}


def test_an_arm_counts_on_the_seeds_that_it_has():
    arms = [{0: 0.5, 1: 0.5}, {0: 0.6, 1: 0.6, 2: 0.65, 3: 0.65}, {3: 0.99}]
    assert cross_fitted(arms) == {0: 0.6, 1: 0.6, 2: 0.65, 3: 0.65}


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_it_is_never_above_the_best_of_a_seed(rows):
    scores = np.array(rows)
    found = cross_fitted([dict(enumerate(row)) for row in rows])
    assert all(found[seed] <= scores[:, seed].max() for seed in range(3))
    if len(rows) == 1:
        assert [found[seed] for seed in range(3)] == rows[0]


def test_the_picked_mean_is_too_high_and_the_cross_fitted_one_is_not():
    chance, shown, fitted = np.random.default_rng(1), [], []
    for _ in range(2000):
        scores = chance.normal(0.5, 0.02, (12, 3))
        shown.append(scores.mean(1).max())
        fitted.append(np.mean([*cross_fitted([dict(enumerate(row)) for row in scores]).values()]))
    assert np.mean(shown) > 0.51
    assert np.mean(fitted) == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("ahead", [0.0, 0.05])
def test_what_is_expected_of_a_picked_arm_holds(seeds, ahead):
    """Of twelve arms, of which all are equal, or one is ahead: its true mean, and one more
    training of it. Where all are equal its own interval misses twice as often."""
    chance, runs, arms = np.random.default_rng(seeds), 900, 12
    missed = alone = one_more = 0
    true = 0.5 + np.array([ahead] + [0.0] * (arms - 1))
    for _ in range(runs):
        scores = true[:, None] + chance.normal(0, 0.02, (arms, seeds + 1))
        seen = scores[:, :seeds]
        variances = seen.var(axis=1, ddof=1)
        prior = fit_prior(variances.tolist(), [seeds - 1] * arms)
        leader = int(seen.mean(axis=1).argmax())
        found = Estimate(seen[leader].mean(), variances[leader] / seeds, 0.0, seeds, EXACT)
        found = found.moderated(prior)
        fitted = float(np.mean([*cross_fitted([dict(enumerate(row)) for row in seen]).values()]))
        mean, half, _ = of_mean(found, fitted)
        missed += abs(mean - true[leader]) > half
        alone += abs(found.mean - true[leader]) > found.half()
        low, high = of_one_training(found, fitted)
        one_more += not low <= scores[leader, seeds] <= high
    room = 3 * math.sqrt(0.05 * 0.95 / runs)
    assert missed / runs < (0.05 if ahead else 0.09) + room
    assert one_more / runs < 0.05 + room
    assert ahead or alone > 1.8 * missed


def test_where_nothing_was_picked_it_is_the_arms_own_interval():
    found = Estimate(0.5, 1e-4, 1e-5, 3, 100)
    assert of_mean(found, found.mean) == found.interval()
    assert of_mean(Estimate(0.5, None, 1e-5, 1, 100), 0.48) == (0.48, None, 1)
