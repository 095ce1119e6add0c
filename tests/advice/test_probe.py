"""The default head: exact, inside its training images, and indifferent to what does not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from tests.advice.clusters import clouds
from transfer_lab.advice.promise.probe import fit_probe, floored_scale

CLASSES = 4


@pytest.mark.parametrize("per_class", [8, 40])  # fewer, and more images than features
def test_the_probe_is_logistic_regression_on_scaled_features(per_class):
    x, y, _ = clouds(per_class, CLASSES, 2.0)
    head = fit_probe(x, y, CLASSES, penalty=0.01)
    scale = floored_scale(x)
    known = LogisticRegression(C=1 / (0.01 * len(y)), tol=1e-8, max_iter=5000)
    known.fit((x - scale.mean) / scale.unit, y)
    theirs = known.decision_function((x - scale.mean) / scale.unit)
    ours = head.logits(x)
    ours = ours - ours.mean(axis=1, keepdims=True)
    assert np.abs(ours - theirs).max() < 0.02


def test_a_feature_that_hardly_varies_is_not_blown_up():
    x, _, _ = clouds(20, CLASSES, 2.0)
    x[:, 0] *= 1e-6
    scale = floored_scale(x)
    assert scale.unit[0] == pytest.approx(np.median(x.std(axis=0)) / 2, rel=0.01)
    assert scale.unit[1:] == pytest.approx(x.std(axis=0)[1:] + scale.unit[0], rel=0.01)


@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-50, 50))
@settings(max_examples=25, deadline=None)
def test_the_unit_and_the_zero_of_features_do_not_matter(seed, unit, zero):
    x, y, _ = clouds(6, CLASSES, 2.0, seed=seed)
    plain = fit_probe(x, y, CLASSES).logits(x)
    moved = x.astype(np.float64) * unit + zero
    assert np.abs(fit_probe(moved, y, CLASSES).logits(moved) - plain).max() < 0.02


@given(st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_the_order_of_images_and_of_classes_does_not_matter(seed):
    x, y, _ = clouds(6, CLASSES, 2.0, seed=seed)
    draw = np.random.default_rng(seed)
    order, names = draw.permutation(len(y)), draw.permutation(CLASSES)
    plain = fit_probe(x, y, CLASSES).logits(x)
    other = fit_probe(x[order], names[y[order]], CLASSES).logits(x)[:, names]
    assert np.abs(other - plain).max() < 0.02


def test_a_class_without_images_is_not_answered():
    x, y, _ = clouds(10, CLASSES, 3.0)
    seen = y != 2
    head = fit_probe(x[seen], y[seen], CLASSES)
    assert 2 not in head.logits(x).argmax(axis=1)


@pytest.mark.parametrize("case", ["one class", "one image", "all alike"])
def test_what_cannot_be_told_apart_ends_in_finite_numbers(case):
    x, y, _ = clouds(5, CLASSES, 2.0)
    chosen = {"one class": y == 1, "one image": np.arange(len(y)) == 7}.get(case, y >= 0)
    x = np.ones_like(x) if case == "all alike" else x
    head = fit_probe(x[chosen], y[chosen], CLASSES)
    assert np.isfinite(head.logits(x)).all()
    if case != "all alike":
        assert set(head.logits(x).argmax(axis=1)) == {1}
