"""Intervals over seeds and test images: against closed forms, and their coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.intervals import t_interval
from transfer_lab.stats.two_way import Crossed, mcnemar

CLASSES = 4


def layout(
    chance: np.random.Generator, *, arms: int, seeds: int, images: int, seed_sd: float, hard: float
) -> tuple[np.ndarray, np.ndarray]:
    """Correctness by arm, seed and image: seeds differ in skill, images in difficulty, which all
    arms share, and classes too, which are always in the same mix."""
    labels = np.arange(images) % CLASSES
    difficulty = chance.normal(0, hard, images) + np.linspace(-1, 1, CLASSES)[labels]
    skill = chance.normal(0.8, seed_sd, (arms, seeds))
    odds = skill[..., None] + difficulty
    return chance.random((arms, seeds, images)) < 1 / (1 + np.exp(-odds)), labels


def truth(seed_sd: float, hard: float) -> float:
    """The mean of the same layout over all seeds and images, by Gauss and Hermite."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    odds = 0.8 + math.hypot(seed_sd, hard) * nodes[:, None] + np.linspace(-1, 1, CLASSES)
    return float((weights / weights.sum()) @ (1 / (1 + np.exp(-odds))).mean(axis=1))


def tolerance(level: float, runs: int) -> float:
    return 3.5 * math.sqrt(level * (1 - level) / runs)


RUNS = 1500
SETTINGS = [
    (3, 200, 0.1, 1.5),
    (3, 400, 0.5, 0.5),
    (5, 300, 0.3, 1.0),
    (10, 200, 0.3, 1.5),
]


@pytest.mark.parametrize(("seeds", "images", "seed_sd", "hard"), SETTINGS)
def test_the_interval_of_an_accuracy_covers_and_the_seeds_alone_do_not(
    seeds, images, seed_sd, hard
):
    chance, true = np.random.default_rng(seeds), truth(seed_sd, hard)
    covered, alone, bounded = 0, 0, 0
    for _ in range(RUNS):
        right, labels = layout(
            chance, arms=1, seeds=seeds, images=images, seed_sd=seed_sd, hard=hard
        )
        scores = right.mean(axis=2)
        found = Crossed.of(right, labels).contrast([1])
        bound = Crossed.of_scores(scores, images).contrast([1])
        plain = t_interval(scores[0].tolist())
        covered += abs(found.mean - true) <= found.half()
        bounded += abs(found.mean - true) <= bound.half()
        alone += abs(plain.mean - true) <= plain.half
    assert 0.95 - tolerance(0.95, RUNS) < covered / RUNS < 0.983
    assert bounded >= covered
    if hard == 1.5:
        assert alone / RUNS < 0.95 - tolerance(0.95, RUNS)


@pytest.mark.parametrize(("seeds", "images", "seed_sd", "hard"), SETTINGS)
def test_the_paired_interval_of_a_difference_covers(seeds, images, seed_sd, hard):
    chance, covered, bounded = np.random.default_rng(seeds), 0, 0
    for _ in range(RUNS):
        right, labels = layout(
            chance, arms=2, seeds=seeds, images=images, seed_sd=seed_sd, hard=hard
        )
        found = Crossed.of(right, labels).contrast([1, -1])
        bound = Crossed.of_scores(right.mean(axis=2), images).contrast([1, -1])
        covered += abs(found.mean) <= found.half()
        bounded += abs(bound.mean) <= bound.half()
    assert 0.95 - tolerance(0.95, RUNS) < covered / RUNS < 0.983
    assert bounded >= covered


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("ratio", [0.0, 0.3, 3.0, 100.0])
def test_quadrature_covers_whatever_the_two_errors_are_to_each_other(seeds, ratio):
    """Normal errors of known ratio; at most 4 % too sure of itself on the safe side."""
    chance, runs = np.random.default_rng(1), 4000
    scores = chance.normal(0, math.sqrt(seeds), (runs, seeds))
    shared = chance.normal(0, math.sqrt(ratio), runs)
    hits = 0
    for own, common in zip(scores, shared, strict=True):
        found = Estimate(own.mean() + common, own.var(ddof=1) / seeds, ratio, seeds, 10_000)
        hits += abs(found.mean) <= found.half()
    assert 0.95 - tolerance(0.95, runs) < hits / runs < 0.992


def test_both_errors_are_those_of_the_two_way_analysis_of_variance():
    right, labels = layout(
        np.random.default_rng(0), arms=1, seeds=4, images=40, seed_sd=0.5, hard=1.0
    )
    y, k, m = right[0].astype(float), 4, 40
    seeds = y.mean(axis=1).var(ddof=1) / k
    images, rest = 0.0, 0.0
    for label in range(CLASSES):
        part = y[:, labels == label]
        effect = part.mean(axis=0) - part.mean()
        images += k * (effect**2).sum()
        left = part - part.mean(axis=1, keepdims=True) - effect
        rest += (left**2).sum()
    shared = (images / (m - CLASSES) - rest / ((k - 1) * (m - CLASSES))) / (k * m)
    found = Crossed.of(right, labels).contrast([1])
    assert found.mean == pytest.approx(y.mean())
    assert found.over_seeds == pytest.approx(seeds)
    assert found.over_images == pytest.approx(max(shared, 0), abs=1e-12)


def test_what_the_seeds_do_not_share_is_not_counted_twice():
    """Images that are all alike: the rest shows among the seeds, and nothing is common to them."""
    chance, found = np.random.default_rng(2), []
    for _ in range(300):
        right = chance.random((1, 5, 400)) < 0.6
        found.append(Crossed.of(right, np.zeros(400)).contrast([1]))
    common = np.mean([one.over_images for one in found])
    assert np.mean([one.over_seeds for one in found]) == pytest.approx(0.24 / 2000, rel=0.15)
    assert common < 0.25 * 0.24 / 400


def test_a_constant_answer_has_no_error_in_a_fixed_mix_of_classes():
    labels = np.arange(100) % 5
    right = np.broadcast_to(labels == 2, (1, 3, 100))
    assert Crossed.of(right, labels).contrast([1]).half() == pytest.approx(0, abs=1e-6)


@given(
    st.floats(-0.5, 0.5),
    st.floats(1e-8, 1e-2),
    st.floats(0, 1e-2),
    st.integers(2, 12),
    st.floats(0.001, 0.499),
)
def test_p_is_the_level_at_which_the_interval_touches_the_bound(mean, seeds, images, n, tail):
    found = Estimate(mean, seeds, images, n, 500)
    touching = mean - found.reach(tail)
    assert found.p_above(touching) == pytest.approx(tail, rel=1e-3)
    assert found.negative.p_above(-touching) == pytest.approx(1 - tail, rel=1e-3)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_without_an_error_of_the_test_set_all_is_students(scores):
    if np.ptp(scores) < 1e-3:
        return
    found = Estimate(np.mean(scores), np.var(scores, ddof=1) / len(scores), 0.0, len(scores), 100)
    assert found.half() == pytest.approx(t_interval(scores).half, rel=1e-9)
    expected = stats.ttest_1samp(scores, 0.4, alternative="greater").pvalue
    assert found.p_above(0.4) == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_without_any_error_p_is_plain():
    assert [Estimate(m, 0.0, 0.0, 3, 100).p_above() for m in (0.1, 0.0, -0.1)] == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("errors", [(None, 0.1), (0.1, None), (None, None)])
def test_an_unknown_error_gives_no_interval_and_proves_nothing(errors):
    found = Estimate(0.5, *errors, 1, 100)
    assert found.interval() == (0.5, None, 1)
    assert found.p_above() == 1.0
    assert not found.equal_within(1.0)


def test_equality_at_the_margin_is_found_once_in_twenty_times_at_most():
    chance, runs = np.random.default_rng(3), 2000
    passed = 0
    for _ in range(runs):
        scores = chance.normal(0.01, 0.004, 5)
        common = chance.normal(0, 0.001)
        found = Estimate(scores.mean() + common, scores.var(ddof=1) / 5, 1e-6, 5, 2000)
        passed += found.equal_within(0.01)
    assert 0.02 < passed / runs < 0.05 + tolerance(0.05, runs)


def test_what_is_equal_is_found_to_be():
    assert Estimate(0.002, 1e-7, 1e-7, 5, 2000).equal_within(0.01)
    assert not Estimate(0.0, 1e-4, 1e-7, 5, 2000).equal_within(0.01)


def test_draws_of_a_difference_have_the_spread_of_its_paired_test():
    right, labels = layout(
        np.random.default_rng(5), arms=4, seeds=3, images=500, seed_sd=0.2, hard=1.0
    )
    found = Crossed.of(right, labels)
    drawn = found.draws(40_000, np.random.default_rng(0))
    for pair in ((1, -1, 0, 0), (0, 1, 0, -1)):
        told = found.contrast(pair)
        alone = (drawn @ np.array(pair) - told.mean) / math.sqrt(told.over_seeds)
        exact = stats.t.ppf(0.9, 2) * 1.0
        blurred = math.hypot(exact, stats.norm.ppf(0.9) * math.sqrt(
            told.over_images / told.over_seeds))  # fmt: skip
        assert np.quantile(alone, 0.9) == pytest.approx(blurred, rel=0.06)


def test_more_arms_than_seeds_are_no_obstacle_to_draws():
    right, labels = layout(
        np.random.default_rng(6), arms=7, seeds=2, images=60, seed_sd=0.2, hard=1.0
    )
    assert Crossed.of(right, labels).draws(50, np.random.default_rng(0)).shape == (50, 7)


def test_draws_need_both_errors():
    with pytest.raises(ValueError, match="two seeds"):
        Crossed.of_scores(np.array([[0.5]]), 100).draws(5, np.random.default_rng(0))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemars_p_is_that_of_the_sign_test_on_what_differs(pairs):
    one, other = np.array(pairs).T
    first, second = int((one & ~other).sum()), int((other & ~one).sum())
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(one, other) == pytest.approx(expected)


def test_classes_of_a_single_image_tell_nothing_of_the_test_set():
    assert Crossed.of(np.ones((1, 3, 4), bool), np.arange(4)).contrast([1]).half() is None
