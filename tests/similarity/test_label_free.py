"""MMD², proxy A-distance and the calibrated place: closed forms, properties, degenerate input."""

import math

import numpy as np
import pytest
from torch import from_numpy
from torchmetrics.image.kid import poly_mmd

from transfer_lab.similarity.calibration import place
from transfer_lab.similarity.mmd import contrasts, u_statistic
from transfer_lab.similarity.proxy_a import proxy_a_distance
from transfer_lab.similarity.samples import DegenerateError, Estimate

WIDTH = 12


def normal(seed: int, n: int = 120, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, WIDTH)) + shift


def mmd2(x: np.ndarray, y: np.ndarray) -> Estimate:
    return u_statistic(contrasts(x, y))


def kernel(a: np.ndarray, b: np.ndarray) -> float:
    return (a @ b / len(a) + 1) ** 3


def test_mmd2_is_its_definition_with_every_pair_counted_once():
    x, y = normal(0, 5), normal(1, 5, 0.5)
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    expected = np.mean(
        [
            kernel(x[i], x[j]) + kernel(y[i], y[j]) - kernel(x[i], y[j]) - kernel(x[j], y[i])
            for i, j in pairs
        ]
    )
    assert mmd2(x, y).value == pytest.approx(expected)


def test_mmd2_is_that_of_torchmetrics_but_for_the_pairs_of_one_place():
    """torchmetrics counts the n cross pairs (x_i, y_i) as well, which changes the last digits."""
    x, y = normal(0), normal(1, shift=0.3)
    n, cross = len(x), (x @ y.T / WIDTH + 1) ** 3
    theirs = float(poly_mmd(from_numpy(x), from_numpy(y)))
    every, other = cross.mean(), (cross.sum() - np.trace(cross)) / (n * (n - 1))
    assert mmd2(x, y).value == pytest.approx(theirs + 2 * every - 2 * other)


def test_two_samples_of_one_distribution_are_at_zero_within_the_error_that_is_stated():
    """The error is on the safe side here: an image's own share is zero, and is not known to be."""
    found = [mmd2(normal(2 * s, 60), normal(2 * s + 1, 60)) for s in range(300)]
    values, errors = np.array(found).T
    assert abs(values.mean()) < 3 * values.std() / math.sqrt(len(values))
    assert np.mean(np.abs(values) < 1.96 * errors) > 0.93
    assert 0.95 < np.sqrt(np.mean(errors**2)) / values.std() < 1.6


def test_the_stated_error_is_the_spread_where_distributions_differ():
    found = [mmd2(normal(2 * s, 60), normal(2 * s + 1, 60, 0.5)) for s in range(300)]
    values, errors = np.array(found).T
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(values.std(), rel=0.15)


def test_permuting_the_pool_makes_a_null_whose_quantiles_a_real_difference_exceeds():
    x, y = normal(0, 60), normal(1, 60, 0.5)
    pool, rng = np.concatenate([x, y]), np.random.default_rng(0)
    null = []
    for _ in range(100):
        mixed = rng.permutation(pool)
        null.append(mmd2(mixed[:60], mixed[60:]).value)
    assert abs(np.mean(null)) < 3 * np.std(null) / 10
    assert mmd2(x, y).value > max(null)


@pytest.mark.parametrize("measure", [mmd2, proxy_a_distance], ids=["mmd2", "proxy_a"])
def test_distances_are_symmetric_and_do_not_see_the_order_of_images(measure):
    x, y = normal(0), normal(1, shift=0.4)
    order = np.random.default_rng(2).permutation(len(x))
    there = measure(x, y)
    # MMD² pairs x_i with y_i, so that one order for both samples is what leaves it alone exactly.
    assert measure(y, x).value == pytest.approx(there.value, abs=1e-9)
    assert measure(x[order], y[order]).value == pytest.approx(there.value, abs=1e-9)
    assert measure(x[order], y).value == pytest.approx(there.value, abs=0.05)


def test_halving_the_sample_moves_mmd2_by_no_more_than_its_error():
    x, y = normal(0, 400), normal(1, 400, 0.4)
    whole, half = mmd2(x, y), mmd2(x[:200], y[:200])
    assert abs(whole.value - half.value) < 2.5 * math.hypot(whole.error, half.error)


def test_proxy_a_distance_runs_from_zero_to_two():
    values = np.array(
        [proxy_a_distance(normal(2 * s, 100), normal(2 * s + 1, 100)).value for s in range(40)]
    )
    assert abs(values.mean()) < 3 * values.std() / math.sqrt(len(values))
    assert proxy_a_distance(normal(0, 300), normal(1, 300, 5.0)).value == 2


def test_proxy_a_distance_is_that_of_the_best_linear_rule():
    """Two normals a distance d apart in one direction: error Phi(-d/2)."""
    shift = np.zeros(WIDTH)
    shift[0] = 2.0
    found = proxy_a_distance(normal(0, 1500), normal(1, 1500) + shift)
    error = 0.5 * math.erfc(1 / math.sqrt(2))
    assert found.value == pytest.approx(2 * (1 - 2 * error), abs=3 * found.error + 0.02)


def test_proxy_a_distance_of_small_samples_in_many_dimensions_is_cross_validated():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 40, 2000))
    assert abs(proxy_a_distance(x, y).value) < 1  # fitted and judged on the same it would be 2


def test_place_is_zero_for_the_source_and_one_for_the_far_domain():
    source, half, same, far = normal(0), normal(1), normal(2), normal(3, shift=2)
    assert (
        place(source, half, same, far).position.low
        <= 0
        <= place(source, half, same, far).position.high
    )
    assert place(source, half, far, far).position.value == pytest.approx(1)


def test_place_grows_with_the_distance_and_ignores_scale_and_shift_of_features():
    source, half, far = normal(0), normal(1), normal(3, shift=3)
    places = [place(source, half, normal(2, shift=s), far).position for s in (0.2, 0.6, 1.2)]
    assert places[0].high < places[1].low < places[1].high < places[2].low
    moved = [7 * f - 100 for f in (source, half, normal(2, shift=0.6), far)]
    assert place(*moved).position == pytest.approx(places[1])


def test_the_interval_of_a_place_holds_the_place_of_large_samples_as_often_as_it_says():
    shift = 0.5
    large = place(normal(0, 2000), normal(1, 2000), normal(2, 2000, shift), normal(3, 2000, 2.0))
    held = 0
    for s in range(100):
        samples = [normal(10 + 4 * s + k, 80, m) for k, m in enumerate((0, 0, shift, 2.0))]
        low, high = place(*samples).position[1:]
        held += low <= large.position.value <= high
    assert held >= 88


def test_one_image_that_is_far_out_does_not_decide_the_place():
    source, half, target, far = normal(0), normal(1), normal(2, shift=0.5), normal(3, shift=2)
    spoilt = target.copy()
    spoilt[0] *= 1000
    before, after = (place(source, half, t, far).position.value for t in (target, spoilt))
    assert after == pytest.approx(before, abs=0.25)


@pytest.mark.parametrize("measure", [mmd2, proxy_a_distance], ids=["mmd2", "proxy_a"])
@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (normal(0, 1), normal(1, 1), "at least 2 images"),
        (np.full((120, WIDTH), np.nan), normal(1), "NaN"),
        (normal(0)[:, 0], normal(1), "table of rows"),
        (normal(0)[:, :5], normal(1), "shape|features"),
    ],
    ids=["one image", "nan", "a vector", "other width"],
)
def test_degenerate_samples_are_refused_by_name(measure, x, y, reason):
    with pytest.raises(DegenerateError, match=reason):
        measure(x, y)


def test_constant_features_are_refused_where_they_would_be_divided_by():
    flat = np.ones((20, WIDTH))
    with pytest.raises(DegenerateError, match="constant"):
        proxy_a_distance(flat, flat)
    with pytest.raises(DegenerateError, match="constant"):
        place(flat, flat, flat, flat)
    assert mmd2(flat, flat).value == 0


def test_an_axis_needs_a_far_domain_that_differs_from_the_source():
    with pytest.raises(DegenerateError, match="far domain"):
        place(normal(0), normal(1), normal(2, shift=1), normal(3))


def test_a_place_needs_three_images_of_each():
    with pytest.raises(DegenerateError, match="3 images"):
        place(normal(0), normal(1), normal(2, 2), normal(3, shift=1))


def test_more_features_than_images_are_no_obstacle():
    rng = np.random.default_rng(0)
    source, half, target, far = (rng.standard_normal((15, 900)) + s for s in (0, 0, 0.5, 2))
    found = place(source, half, target, far)
    assert all(map(math.isfinite, found.position))
    assert math.isfinite(proxy_a_distance(source, target).value)


def test_an_error_is_unknown_with_two_images():
    assert u_statistic(np.ones((2, 2))) == (1.0, math.inf)
