"""Folds of photographs: every image once in each repeat, groups whole, classes everywhere."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.advice.clusters import clouds
from transfer_lab.advice.album.album import RefusedError
from transfer_lab.advice.promise.resampling import (
    FEW,
    FOLDS,
    FOLDS_OF_FEW,
    HALVES,
    MOST_OF_FEW,
    REPEATS,
    collected,
    fold_masks,
    number_of_folds,
    out_of_fold,
    promised_folds,
    share_learnt,
)


@st.composite
def albums(draw):
    """Labels and groups of a few classes; a group may reach over classes."""
    labels = np.array(draw(st.lists(st.integers(0, 3), min_size=4, max_size=60)))
    labels = np.unique(labels, return_inverse=True)[1]
    n = len(labels)
    groups = np.array(draw(st.lists(st.integers(0, n), min_size=n, max_size=n)))
    return labels, groups


@given(albums(), st.integers(0, 2**31))
@settings(max_examples=100, deadline=None)
def test_folds_hold_every_image_once_in_each_repeat_and_never_divide_a_group(album, seed):
    labels, groups = album
    if len(np.unique(groups)) < 2:
        with pytest.raises(RefusedError):
            fold_masks(labels, groups, seed=seed)
        return
    masks = fold_masks(labels, groups, seed=seed)
    tested = np.bincount(np.concatenate([test for _, test in masks]), minlength=len(labels))
    assert (tested == REPEATS).all()
    for train, test in masks:
        assert len(train) + len(test) == len(labels)
        assert not set(groups[train]) & set(groups[test])


def test_a_class_of_few_groups_is_learnt_wherever_it_is_tested():
    for few in (2, 3, 4):
        labels = np.array([0] * 30 + [1] * 30 + [2] * few)
        groups = np.arange(len(labels))
        assert number_of_folds(labels, groups) == FOLDS
        for train, test in fold_masks(labels, groups, seed=few):
            if 2 in labels[test]:
                assert (labels[train] == 2).sum() == few - 1


def test_there_are_no_more_folds_than_the_largest_class_has_groups():
    labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 2, 3, 3])
    assert number_of_folds(labels, groups) == 2
    assert number_of_folds(labels, np.arange(6)) == 3


@pytest.mark.parametrize(
    ("classes", "per_class", "folds"),
    [
        (3, FEW, FOLDS_OF_FEW),
        (3, FEW + 1, FOLDS),
        (MOST_OF_FEW // 10, 10, FOLDS_OF_FEW),
        (MOST_OF_FEW // 10 + 1, 10, FOLDS),
    ],
)
def test_of_few_images_a_promise_is_made_of_more_folds(classes, per_class, folds):
    labels = np.repeat(np.arange(classes), per_class)
    assert promised_folds(labels, np.arange(len(labels))) == folds
    copies = np.repeat(labels, 3), np.repeat(np.arange(len(labels)), 3)
    assert promised_folds(*copies) == folds, "near-copies count as one"


def test_what_a_fold_leaves_out_of_a_class_makes_no_head_expect_it_less():
    """From features that say nothing the largest class is named, though where it was left out
    another one was larger."""
    labels = np.array([0] * 9 + [1] * 8)
    groups = np.r_[np.zeros(9), 1 + np.arange(8)].astype(int)
    groups[4:9] = 20  # the larger class in two folds
    oof = out_of_fold(np.zeros((17, 5)), labels, groups, 2)
    assert (oof.logits[:, labels == 0].argmax(2) == 1).all()
    assert (oof.answers == 0).all() and (oof.halves.answers == 0).all()


def test_of_a_class_that_nothing_was_learnt_of_no_more_is_expected():
    x, y, groups = clouds(6, 3, 4.0)
    groups = np.where(y == 2, groups.max() + 1, groups)
    oof = out_of_fold(x, y, groups, 3)
    assert np.isfinite(oof.thinned).all()
    assert not (oof.answers[:, y == 2] == 2).any()


def test_repeats_are_different_partitions_and_a_seed_gives_the_same_ones():
    labels = np.repeat(np.arange(3), 20)
    groups = np.arange(60)
    first, again, other = (fold_masks(labels, groups, seed=s) for s in (1, 1, 2))
    assert all((a[1] == b[1]).all() for a, b in zip(first, again, strict=True))
    parts = [{frozenset(test) for _, test in m} for m in (first[:5], first[5:], other[:5])]
    assert parts[0] != parts[1] != parts[2] != parts[0]


def test_what_is_said_of_an_image_comes_from_a_head_that_had_not_seen_it():
    x, y, groups = clouds(12, 3, 0.0, width=200)
    from transfer_lab.advice.promise.probe import fit_probe

    assert (fit_probe(x, y, 3).logits(x).argmax(1) == y).all(), "a head can learn these by heart"
    oof = out_of_fold(x, y, groups, 3)
    assert oof.logits.shape == oof.thinned.shape == (REPEATS, len(y), 3)
    assert (oof.answers == y).mean() < 0.6


def test_near_copies_in_one_group_are_no_help():
    x, y, groups = clouds(15, 3, 0.0, copies=3, width=200)
    apart = out_of_fold(x, y, np.arange(len(y)), 3)
    together = out_of_fold(x, y, groups, 3)
    assert (apart.answers == y).mean() > 0.9
    assert (together.answers == y).mean() < 0.6


def test_without_the_time_for_more_every_image_is_tested_once():
    x, y, groups = clouds(12, 3, 1.0)
    whole, hurried = (out_of_fold(x, y, groups, 3, seconds=seconds) for seconds in (60, 0))
    assert hurried.logits.tobytes() == whole.logits[:1].tobytes()
    assert hurried.folds == whole.folds and hurried.halves is None
    assert hurried.seconds > 0


def test_progress_is_told():
    x, y, groups = clouds(5, 2, 3.0)
    told = []
    out_of_fold(x, y, groups, 2, listen=lambda done, total: told.append((done, total)))
    heads = (FOLDS + HALVES) * REPEATS
    assert told == [(n, heads) for n in range(1, heads + 1)]


@given(albums(), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_logits_are_corrected_by_what_was_left_of_each_class(album, seed):
    labels, groups = album
    assume(len(np.unique(groups)) > 1)
    masks = fold_masks(labels, groups, seed=seed)
    classes = int(labels.max()) + 1
    blocks = [np.zeros((len(test), classes)) for _, test in masks]
    found = collected(blocks, masks, labels, groups).thinned
    for number, (train, test) in enumerate(masks):
        repeat = number * REPEATS // len(masks)
        for c in range(classes):
            known, held = (labels[train] == c).sum(), (labels == c).sum()
            assert found[repeat, test, c] == pytest.approx(np.log(held / known) if known else 0)


@given(albums(), st.integers(0, 99))
@settings(deadline=None)
def test_the_share_that_a_head_had_learnt_of_an_image_s_class_is_counted(album, seed):
    labels, groups = album
    assume(len(np.unique(groups)) > 1)
    masks = fold_masks(labels, groups, seed=seed)
    of_class = []
    for c in np.unique(labels):
        mine = dict.fromkeys(groups[labels == c], 0.0)  # a group of near-copies counts once
        for train, _ in masks:
            known = set(groups[train][labels[train] == c])
            for group in mine.keys() - known:
                mine[group] += len(known) / len(mine) / REPEATS
        of_class += [np.mean(list(mine.values()))] if len(mine) > 1 else []
    found = share_learnt(masks, labels, groups)
    assert 0 < found < 1
    assert not of_class or found == pytest.approx(np.mean(of_class))
