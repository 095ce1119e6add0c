"""Folds: every image tested once, nothing tested that was learnt, groups and copies undivided."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.photos import picture
from transfer_lab.data.build import build_domain
from transfer_lab.data.folds import Fold, Folded, joined
from transfer_lab.data.partition import partition
from transfer_lab.data.splits import SubsetError
from transfer_lab.experiment.choices import Choice
from transfer_lab.system.image_folder import DataUnavailable, list_files
from transfer_lab.system.pixel_hash import hashes

PERSONS = 9
LETTERS = Choice(
    kind="latin", options={"letters": "ABCD", "train_per_class": 8, "test_per_class": 5}
)


@given(
    counts=st.lists(st.integers(10, 30), min_size=2, max_size=5),
    folds=st.integers(2, 10),
    seed=st.integers(0, 2**31 - 1),
)
def test_images_on_their_own_are_divided_evenly_within_every_class(counts, folds, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    chosen = partition(labels, np.arange(len(labels)), folds, seed)
    assert set(chosen) == set(range(folds))
    for label in range(len(counts)):
        held = np.bincount(chosen[labels == label], minlength=folds)
        assert held.max() - held.min() <= 1
    sizes = np.bincount(chosen, minlength=folds)
    assert sizes.max() - sizes.min() <= len(counts)


@given(seed=st.integers(0, 2**31 - 1), folds=st.integers(2, 5), data=st.data())
def test_groups_are_never_divided_and_classes_stay_nearly_even(seed, folds, data):
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=20, max_size=40))
    groups = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.arange(len(groups)) % 3
    chosen = partition(labels, groups, folds, seed)
    for group in range(len(sizes)):
        assert len(set(chosen[groups == group])) == 1
    totals = np.bincount(chosen, minlength=folds)
    assert totals.max() - totals.min() <= 2 * max(sizes)


def test_another_seed_is_another_partition_and_the_same_one_the_same():
    labels = np.arange(60) % 3
    first, again, other = (partition(labels, np.arange(60), 5, seed) for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_copies_link_the_groups_that_hold_them():
    copies = np.array([0, 1, 2, 3, 0, 4])
    together = joined(copies, ["a", "b", "b", "c", "c", "d"])
    assert together[0] == together[4] == together[3]
    assert together[1] == together[2]
    assert len(set(together)) == 3


@pytest.fixture
def photos(tmp_path):
    """Two classes of nine persons, three photographs each; one lies there twice, in both."""
    for label, name in enumerate(("bridge", "tower")):
        for person in range(PERSONS):
            for number in range(3):
                path = tmp_path / name / f"p{person}_{number}.png"
                path.parent.mkdir(exist_ok=True)
                picture(100 * label + 10 * person + number, (12, 12)).save(path)
    same = picture(999, (12, 12))
    for name in ("p0_9.png", "p1_9.png"):
        same.save(tmp_path / "bridge" / name)
    return tmp_path


def folds_of(choice: Choice, folds: int, seed: int, tmp_path, **how) -> list[Folded]:
    found = []
    for number in range(folds):
        domain = build_domain(choice, 12, (folds, number))
        domain.cache = tmp_path / "cache"
        domain.draw(**{"per_class": "all", "val_fraction": 0.2, "batch_size": 8} | how, seed=seed)
        found.append(domain)
    return found


def contents(domain: Folded, section: str) -> list[bytes]:
    images, index, _ = domain.source_of(section)
    return hashes(np.asarray(images[index]))


def chosen_folder(root, **options) -> Choice:
    return Choice(kind="folder", options=options, root=str(root))


def test_every_image_is_tested_once_a_seed_and_never_learnt_by_the_same_run(photos, tmp_path):
    choice = chosen_folder(photos, groups="^p[0-9]+")
    whole = build_domain(choice, 12)
    every = Counter(hashes(whole.make_images("train")) + hashes(whole.make_images("test")))
    for seed in (0, 1):
        tested = Counter()
        for domain in folds_of(choice, 4, seed, tmp_path):
            test = contents(domain, "test")
            learnt = {*contents(domain, "train"), *contents(domain, "val")}
            assert not learnt & set(test)
            assert len(test) + len(domain.split.train) + len(domain.split.val) == every.total()
            tested.update(test)
        assert tested == every


def test_persons_and_copies_are_in_one_fold(photos, tmp_path):
    (first, *_) = folds_of(chosen_folder(photos, groups="^p[0-9]+"), 3, 0, tmp_path)
    chosen = first.partition(0)
    names = [*first.whole.groups("train"), *first.whole.groups("test")]
    by_person = {name: {chosen[i] for i, n in enumerate(names) if n == name} for name in names}
    assert len(by_person) == PERSONS
    assert all(len(where) == 1 for where in by_person.values())
    assert by_person["p0"] == by_person["p1"], "they share a photograph"


def test_without_groups_copies_alone_are_kept_together(photos, tmp_path):
    for seed in range(5):
        (first, *_) = folds_of(chosen_folder(photos), 3, seed, tmp_path)
        pixels = hashes(np.asarray(first._stored("train")[0]))
        (same,) = (c for c, count in Counter(pixels).items() if count == 2)
        assert (
            len({f for f, c in zip(first.partition(seed), pixels, strict=True) if c == same}) == 1
        )
    assert first.copies == 0


def test_a_test_part_of_the_folders_own_is_joined(tmp_path):
    parts = ("train", "test")
    for first, part in enumerate(parts):
        for second, label in enumerate(("bridge", "tower")):
            for number in range(4):
                path = tmp_path / "set" / part / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture(100 * first + 10 * second + number, (12, 12)).save(path)
    found = folds_of(chosen_folder(tmp_path / "set"), 4, 0, tmp_path)
    assert [len(domain.labels("test")) for domain in found] == [4] * 4
    assert {len(domain.split.train) + len(domain.split.val) for domain in found} == {12}


def test_rendered_images_are_joined_as_well_with_what_is_known_of_them(tmp_path):
    found = folds_of(LETTERS, 4, 0, tmp_path, per_class=6)
    assert sum(len(domain.labels("test")) for domain in found) == 4 * 13
    whole = build_domain(LETTERS, 12)
    masks = np.concatenate([whole.annotation("masks", part) for part in ("train", "test")])
    for domain in found:
        domain.annotations = ("masks",)
        _, index, _ = domain.source_of("test")
        assert (domain.section_annotations("test")["masks"].numpy() == masks[index]).all()
        assert domain.section_labels("test").tolist() == domain.labels("test").tolist()
        assert np.bincount(domain.labels("train")[domain.split.train]).tolist() == [5] * 4


def test_subsets_lie_within_one_another_beside_every_fold(tmp_path):
    few = folds_of(LETTERS, 3, 1, tmp_path, per_class=3, val_fraction=0.0)
    many = folds_of(LETTERS, 3, 1, tmp_path, per_class=6, val_fraction=0.0)
    for small, large in zip(few, many, strict=True):
        assert set(small.split.train) < set(large.split.train)


def test_what_runs_may_learn_from_is_all_but_the_fold(tmp_path):
    for domain in folds_of(LETTERS, 3, 1, tmp_path):
        _, tested, _ = domain.source_of("test")
        assert sorted([*domain.pool(), *tested]) == [*range(4 * 13)]
    assert build_domain(LETTERS, 12).pool().tolist() == [*range(32)]


def test_a_class_in_too_few_groups_is_refused_by_name(photos, tmp_path):
    choice = chosen_folder(photos, groups="^p[0-4]|^p")
    with pytest.raises(SubsetError, match="class bridge has 5 images, or groups"):
        folds_of(choice, 6, 0, tmp_path)


def test_a_domain_that_draws_in_a_way_of_its_own_is_refused(photos):
    choice = Choice(kind="one_against_background", options={"object": "bridge"}, root=str(photos))
    with pytest.raises(ValueError, match="OneAgainstBackground draws its images in a way of its"):
        Folded(build_domain(choice, 12), Fold(3, 0))


def test_the_fold_is_not_known_before_it_is_drawn():
    with pytest.raises(RuntimeError, match="draw"):
        build_domain(LETTERS, 12, (3, 0)).labels("test")


@pytest.mark.parametrize(
    ("pattern", "told"),
    [("(", "no regular expression"), ("^q", "finds no group in 56 of 56 images, as p0_0[.]png")],
)
def test_a_pattern_that_finds_nothing_is_refused(photos, pattern, told):
    with pytest.raises(DataUnavailable, match=told):
        list_files(photos).groups(pattern)


def test_groups_may_be_sub_folders_and_are_part_of_what_the_content_is_known_by(photos):
    listing = list_files(photos)
    assert listing.known_by(None) == listing.fingerprint
    assert len({listing.known_by(p) for p in (None, "^p[0-9]+", "^p")}) == 3
    path = photos / "bridge" / "p0_0.png"
    before = listing.known_by("^[^/]+/|^p[0-9]+")
    path.parent.joinpath("walk").mkdir()
    path.rename(path.parent / "walk" / "p0_0.png")
    moved = list_files(photos)
    assert moved.fingerprint == listing.fingerprint
    assert moved.known_by("^[^/]+/|^p[0-9]+") != before
    assert "walk/" in moved.groups("^[^/]+/|^p[0-9]+").values()
