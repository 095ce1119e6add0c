"""The subset is what its name says: stratified, nested, disjoint, and the seed's alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_lab.data.splits import SubsetError, nested_subset, overlap, split_sizes

COUNTS = st.lists(st.integers(2, 40), min_size=2, max_size=6)
FRACTIONS = st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.5])


@st.composite
def pools(draw):
    counts = draw(COUNTS)
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(draw(st.integers(0, 99))).permutation(labels), counts


@given(pools(), st.integers(1, 40), FRACTIONS, st.integers(0, 5))
def test_n_images_of_each_class_validation_included_and_none_twice(pool, n, fraction, seed):
    labels, counts = pool
    n = min(n, min(counts))
    split = nested_subset(labels, n, fraction, seed)
    chosen = np.concatenate(split)
    assert len(np.unique(chosen)) == len(chosen)
    assert np.bincount(labels[chosen], minlength=len(counts)).tolist() == [n] * len(counts)


@given(pools(), FRACTIONS, st.integers(0, 5), st.data())
def test_a_smaller_subset_lies_within_a_larger_one_of_the_same_seed(pool, fraction, seed, data):
    labels, counts = pool
    small = data.draw(st.integers(1, min(counts)))
    large = data.draw(st.integers(small, min(counts)))
    inner, outer = (nested_subset(labels, n, fraction, seed) for n in (small, large))
    assert set(np.concatenate(inner)) <= set(np.concatenate(outer))
    if fraction and small >= 1 / fraction:
        assert set(inner.train) <= set(outer.train)
        assert set(inner.val) <= set(outer.val)


@given(pools(), st.sampled_from([0.1, 0.2, 0.25, 0.5]), st.integers(0, 5))
def test_every_class_with_two_images_has_a_validation_image_and_a_training_image(
    pool, fraction, seed
):
    labels, counts = pool
    split = nested_subset(labels, "all", fraction, seed)
    for part in split:
        assert (np.bincount(labels[part], minlength=len(counts)) > 0).all()
    assert len(split.train) + len(split.val) == len(labels)
    expected = [max(1, int(n * fraction + 1e-9)) for n in counts]
    assert np.bincount(labels[split.val]).tolist() == expected


def test_without_a_validation_fraction_nothing_is_held_out():
    assert len(nested_subset(np.repeat([0, 1], 5), 5, 0.0, 0).val) == 0


def test_seeds_draw_differently_and_repeat_themselves():
    labels = np.repeat(np.arange(4), 50)
    draws = [nested_subset(labels, 5, 0.2, seed) for seed in (0, 1, 0)]
    assert np.array_equal(np.concatenate(draws[0]), np.concatenate(draws[2]))
    assert set(np.concatenate(draws[0])) != set(np.concatenate(draws[1]))


def test_one_class_is_drawn_the_same_whatever_the_others_hold():
    first = np.repeat([0, 1], [20, 20])
    second = np.repeat([0, 1], [20, 30])
    drawn = [nested_subset(labels, 7, 0.2, 3) for labels in (first, second)]
    of_class_0 = [np.concatenate(split)[np.concatenate(split) < 20] for split in drawn]
    assert set(of_class_0[0]) == set(of_class_0[1])


def test_more_images_than_the_smallest_class_has_are_refused_by_number():
    with pytest.raises(SubsetError, match=r"9 images per class.*smallest class has 8"):
        nested_subset(np.repeat([0, 1], [20, 8]), 9, 0.2, 0)


@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=5),
    st.integers(1, 200) | st.just("all"),
    st.floats(0, 0.999) | FRACTIONS,
)
def test_the_sizes_of_a_subset_are_known_before_it_is_drawn(counts, n, fraction):
    labels = np.repeat(np.arange(len(counts)), counts)
    n = n if n == "all" else min(n, *counts)
    split = nested_subset(labels, n, fraction, 0)
    assert split_sizes(np.array(counts), n, fraction) == (len(split.train), len(split.val))


def test_subsets_of_different_seeds_share_as_many_images_as_is_said():
    """Of classes of 20 and of 50 images, 10 each: every second and every fifth on average."""
    labels = np.repeat([0, 1], [20, 50])
    splits = [nested_subset(labels, 10, 0.2, seed) for seed in range(60)]
    drawn = [set(np.concatenate(split).tolist()) for split in splits]
    shared = [len(one & other) / 20 for one, other in itertools.combinations(drawn, 2)]
    assert overlap(splits[0], labels) == pytest.approx((0.5 + 0.2) / 2)
    assert np.mean(shared) == pytest.approx(overlap(splits[0], labels), abs=0.01)


def test_subsets_of_all_images_are_the_same_images():
    labels = np.repeat([0, 1], [20, 50])
    assert overlap(nested_subset(labels, "all", 0.2, 0), labels) == 1
