"""The interval over folds: by hand, and its coverage where a real learner is cross-validated."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest

from transfer_lab.data.partition import partition
from transfer_lab.stats import cross_validation
from transfer_lab.stats.cross_validation import cross_validated, inflation
from transfer_lab.stats.intervals import t_interval


def test_the_examples_in_the_text_hold():
    assert doctest.testmod(cross_validation).failed == 0


def test_the_variance_is_that_of_nadeau_and_bengio():
    scores = np.random.default_rng(0).random((3, 10))
    found = cross_validated(scores, 5, 200)
    for arm, row in enumerate(scores):
        one = found.contrast(np.eye(3)[arm])
        assert one.mean == pytest.approx(row.mean())
        assert one.over_seeds == pytest.approx((1 / 10 + 1 / 4) * row.var(ddof=1))
        assert (one.over_images, one.seeds) == (0, 10)
    lead = found.contrast([1, -1, 0])
    assert lead.over_seeds == pytest.approx((1 / 10 + 1 / 4) * (scores[0] - scores[1]).var(ddof=1))
    assert lead.half() == pytest.approx(
        math.sqrt(inflation(10, 5)) * t_interval([*(scores[0] - scores[1])]).half
    )


def test_of_one_fold_no_interval_follows():
    found = cross_validated(np.array([[0.5]]), 5, 20).contrast([1])
    assert (found.mean, found.half()) == (0.5, None)


def nearest_mean(points: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> float:
    """Accuracy on some of the points of the classes' means of the others."""
    means = [points[~tested & (labels == label)].mean(axis=0) for label in (0, 1)]
    first, second = (np.sum((points[tested] - mean) ** 2, axis=1) for mean in means)
    return float(np.mean((second < first) == labels[tested]))


def drawn(chance: np.random.Generator, images: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(images) % 2
    points = chance.standard_normal((images, 10))
    points[:, 0] += apart * (labels - 0.5)
    return points, labels


RUNS = 500


@pytest.mark.parametrize(
    ("images", "folds", "seeds", "apart"), [(60, 5, 1, 2.0), (60, 5, 4, 2.0), (100, 10, 2, 1.5)]
)
def test_the_corrected_interval_covers_and_the_uncorrected_one_does_not(
    images, folds, seeds, apart
):
    chance = np.random.default_rng(images + folds + seeds)
    left = images - images // folds
    true = np.mean(
        [
            nearest_mean(*drawn(chance, left + 2000, apart), np.arange(left + 2000) >= left)
            for _ in range(400)
        ]
    )
    covered = naive = 0
    for _ in range(RUNS):
        points, labels = drawn(chance, images, apart)
        scores = []
        for _ in range(seeds):
            chosen = partition(labels, np.arange(images), folds, int(chance.integers(2**31)))
            scores += [nearest_mean(points, labels, chosen == fold) for fold in range(folds)]
        found = cross_validated(np.array([scores]), folds, images).contrast([1])
        covered += abs(found.mean - true) <= found.half()
        plain = t_interval(scores)
        naive += abs(plain.mean - true) <= plain.half
    noise = 3 * math.sqrt(0.95 * 0.05 / RUNS)
    assert covered / RUNS > 0.95 - noise
    if seeds > 1:
        assert naive / RUNS < 0.95 - noise
