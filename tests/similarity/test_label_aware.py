"""Probes, LogME, H-score, LEEP and CKA: closed forms, cross-checks, degenerate input."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, ortho_group

from transfer_lab.similarity.cka import cka
from transfer_lab.similarity.h_score import h_score
from transfer_lab.similarity.leep import leep
from transfer_lab.similarity.logme import logme
from transfer_lab.similarity.probes import gain, linear_right, neighbours_right
from transfer_lab.similarity.samples import DegenerateError

WITH_LABELS = [neighbours_right, linear_right, logme, h_score]


def blobs(seed: int, n: int = 150, gap: float = 3.0, width: int = 8) -> tuple:
    """Three normal clouds around the corners of a simplex."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 3)
    return rng.standard_normal((n, width)) + gap * np.eye(3, width)[labels], labels


def test_neighbours_are_found_leaving_each_image_out():
    features = np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1], [-1, -1]])
    labels = np.array([0, 0, 1, 1, 2])
    right = neighbours_right(np.repeat(features, 4, axis=0), np.repeat(labels, 4))
    assert right[:16].all()
    own = np.eye(6)  # every image is alone in its direction: nothing but itself would be right
    assert neighbours_right(own, np.arange(6)).sum() == 0


@pytest.mark.parametrize("right", [neighbours_right, linear_right])
def test_probes_are_at_chance_without_a_signal_and_right_with_one(right):
    features, labels = blobs(0, 300, gap=8)
    assert right(features, labels).mean() > 0.98
    noise = np.random.default_rng(1).standard_normal((300, 400))
    assert right(noise, labels).mean() < 0.5


def test_a_gain_is_a_paired_difference_with_its_error():
    found = gain(np.array([1, 1, 1, 0], bool), np.array([1, 0, 0, 0], bool))
    assert found.value == 0.5
    assert found.error == pytest.approx(np.std([0, 1, 1, 0], ddof=1) / 2)


def exact_evidence(features: np.ndarray, target: np.ndarray) -> float:
    """The largest log density of y ~ N(0, F Fᵗ / alpha + 1 / beta) per image, found by search."""

    def loss(logs: np.ndarray) -> float:
        alpha, beta = np.exp(np.clip(logs, -20, 20))
        covariance = features @ features.T / alpha + np.eye(len(target)) / beta
        return -multivariate_normal(np.zeros(len(target)), covariance).logpdf(target)

    starts = [(0.0, 0.0), (2.0, 2.0), (4.0, 0.0)]
    return -min(minimize(loss, s, method="Nelder-Mead").fun for s in starts) / len(target)


@pytest.mark.parametrize("shape", [(40, 5), (20, 30)], ids=["n > d", "n < d"])
def test_logme_is_the_largest_evidence_of_bayesian_regression(shape):
    rng = np.random.default_rng(0)
    features = rng.standard_normal(shape)
    labels = (features[:, 0] + rng.standard_normal(shape[0]) > 0).astype(int)
    expected = np.mean([exact_evidence(features, (labels == c).astype(float)) for c in (0, 1)])
    assert logme(features, labels) == pytest.approx(expected, abs=2e-3)


def test_logme_is_finite_where_labels_are_a_linear_function_of_features():
    labels = np.arange(30) % 3
    assert math.isfinite(logme(np.eye(3)[labels], labels))


def test_h_score_of_many_images_is_its_closed_form():
    """Isotropic clouds around class means: tr((I + B)^-1 B)."""
    features, labels = blobs(0, 30_000, gap=2, width=4)
    means = 2 * np.eye(3, 4)
    between = np.cov(means.T, bias=True)
    expected = np.trace(np.linalg.solve(np.eye(4) + between, between))
    assert h_score(features, labels) == pytest.approx(expected, rel=0.02)


def test_h_score_is_that_of_the_dense_formula():
    from sklearn.covariance import ledoit_wolf

    features, labels = blobs(0, 60, width=10)
    covariance, shrinkage = ledoit_wolf(features)
    centred = features - features.mean(0)
    between = sum(
        np.outer(m, m) * np.mean(labels == c)
        for c in range(3)
        for m in [centred[labels == c].mean(0)]
    )
    expected = np.trace(np.linalg.solve(covariance, (1 - shrinkage) * between))
    assert h_score(features, labels) == pytest.approx(expected)


def test_h_score_of_noise_does_not_explode_with_fewer_images_than_features():
    rng = np.random.default_rng(0)
    noise, labels = rng.standard_normal((30, 500)), np.arange(30) % 3
    assert 0 <= h_score(noise, labels) < 2  # the unshrunk one is at its most, 2, on noise


def test_leep_is_its_closed_form_on_a_table():
    """Source classes that say all of the label, and source classes that say nothing."""
    labels = np.array([0, 0, 1, 1])
    assert leep(np.eye(2)[labels], labels) == pytest.approx(0)
    assert leep(np.full((4, 3), 1 / 3), labels) == pytest.approx(math.log(0.5))
    by_hand = np.array([[0.8, 0.2], [0.6, 0.4], [0.5, 0.5], [0.1, 0.9]])
    # Mass of the source classes 2.0 and 2.0; P(0 | z) = 1.4 / 2, 0.6 / 2.
    told = [0.8 * 0.7 + 0.2 * 0.3, 0.6 * 0.7 + 0.4 * 0.3, 0.5 * 0.3 + 0.5 * 0.7]
    told.append(0.1 * 0.3 + 0.9 * 0.7)
    assert leep(by_hand, labels) == pytest.approx(np.log(told).mean())


def test_leep_is_untouched_by_a_source_class_without_mass():
    labels = np.array([0, 0, 1, 1])
    padded = np.column_stack([np.eye(2)[labels], np.zeros(4)])
    assert leep(padded, labels) == pytest.approx(0)


def test_leep_refuses_what_are_no_probabilities():
    with pytest.raises(DegenerateError, match="probabilities"):
        leep(np.ones((4, 3)), np.array([0, 0, 1, 1]))


def test_label_noise_lowers_every_measure_that_looks_at_labels():
    features, labels = blobs(0, 240, gap=4)
    wrong = labels.copy()
    wrong[:120] = (wrong[:120] + 1) % 3
    for measure in WITH_LABELS:
        assert np.mean(measure(features, wrong)) < np.mean(measure(features, labels))


@pytest.mark.parametrize("measure", WITH_LABELS)
@pytest.mark.parametrize(
    ("features", "labels", "reason"),
    [
        (blobs(0)[0], np.zeros(150), "one class"),
        (np.ones((6, 4)), np.arange(6) % 2, "constant"),
        (np.full((6, 4), np.nan), np.arange(6) % 2, "NaN"),
        (np.ones((1, 4)), np.zeros(1), "2 images"),
        (blobs(0)[0], np.arange(3), "labels"),
    ],
    ids=["one class", "constant", "nan", "one image", "too few labels"],
)
def test_degenerate_input_is_refused_by_name(measure, features, labels, reason):
    with pytest.raises(DegenerateError, match=reason):
        measure(features, labels)


def test_a_class_of_one_image_cannot_be_probed():
    features, labels = blobs(0)
    labels[0] = 7
    with pytest.raises(DegenerateError, match="single image"):
        linear_right(features, labels)


def test_measures_do_not_see_the_order_of_images():
    features, labels = blobs(0)
    order = np.random.default_rng(5).permutation(len(labels))
    for measure in (logme, h_score):
        assert measure(features[order], labels[order]) == pytest.approx(measure(features, labels))


def test_cka_is_one_for_rotated_and_scaled_features():
    features = blobs(0, 60)[0]
    turned = 3 * features @ ortho_group.rvs(8, random_state=0) + 5
    assert cka(features, features) == pytest.approx(1)
    assert cka(features, turned) == pytest.approx(1)


def test_cka_is_about_zero_for_unrelated_features_also_in_many_dimensions():
    """The biased one is near 1 here, since any Gram matrix of few images is near the identity."""
    rng = np.random.default_rng(0)
    found = [cka(*rng.standard_normal((2, 40, 600))) for _ in range(20)]
    assert abs(np.mean(found)) < 0.1


def test_cka_falls_as_features_are_replaced():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((200, 20))
    found = [
        cka(features, np.column_stack([features[:, k:], rng.standard_normal((200, k))]))
        for k in (0, 5, 10, 15)
    ]
    assert sorted(found, reverse=True) == found
    assert found[2] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (np.ones((9, 3)), np.ones((9, 3)), "constant"),
        (blobs(0)[0][:3], blobs(1)[0][:3], "4 images"),
        (blobs(0)[0][:9], blobs(1)[0][:8], "same ones"),
        (np.full((9, 3), np.inf), np.ones((9, 3)), "infinity"),
    ],
)
def test_cka_refuses_what_it_is_not_defined_on(x, y, reason):
    with pytest.raises(DegenerateError, match=reason):
        cka(x, y)
