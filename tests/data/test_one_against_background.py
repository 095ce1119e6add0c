"""One class of a folder against images of others: what is drawn, what is tested, what is shared."""

from __future__ import annotations

import numpy as np
import pytest

from tests.photos import fill
from transfer_lab.data.folder import Folder
from transfer_lab.data.one_against_background import OneAgainstBackground
from transfer_lab.system.image_folder import DataUnavailable

NAMES = ("bay", "city", "desert", "lake", "wood")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> str:
    return str(fill(tmp_path_factory.mktemp("objects"), 20, NAMES))


def built(root: str, **options) -> OneAgainstBackground:
    return OneAgainstBackground(8, root=root, **options)


def origin(domain: OneAgainstBackground, part: str, label: int) -> list[str]:
    """The classes of the folder that the images of a label come from."""
    where = {file.path: file.path.parent.name for file in domain.files[part]}
    return [where[f.path] for f in domain.files[part] if f.label == domain.classes[label]]


@pytest.mark.parametrize("part", ["train", "test"])
def test_the_object_is_the_class_and_the_background_is_even_and_as_large(root, part):
    domain = built(root, object="lake", background=["bay", "city", "wood"])
    assert domain.classes == ("background", "object")
    objects, others = origin(domain, part, 1), origin(domain, part, 0)
    assert set(objects) == {"lake"}
    assert len(objects) == len(others) == (14 if part == "train" else 6)
    counts = [others.count(name) for name in ("bay", "city", "wood")]
    assert sum(counts) == len(others)
    assert max(counts) - min(counts) <= 1
    labels = domain.labels(part)
    assert [int((labels == label).sum()) for label in (0, 1)] == [len(others), len(objects)]


def test_all_other_classes_are_the_background_unless_it_is_named(root):
    assert built(root, object="lake").background == ("bay", "city", "desert", "wood")


def test_an_image_that_one_object_is_tested_on_no_other_object_learns_from(root):
    whole = Folder(8, root=root)
    tested = {file.sha256 for file in whole.files["test"]}
    for name in NAMES:
        domain = built(root, object=name)
        assert {file.sha256 for file in domain.files["test"]} <= tested
        assert not {file.sha256 for file in domain.files["train"]} & tested


def test_every_object_has_a_background_of_its_own(root):
    several = [
        {
            f.sha256
            for f in built(root, object=name, background=["bay", "city"]).files["train"]
            if f.label == "background"
        }
        for name in ("lake", "wood")
    ]
    assert several[0] != several[1]


def test_few_objects_stand_against_the_background_that_was_asked_for(root):
    def drawn(per_class, least, val_fraction=0.0):
        domain = built(root, object="lake", least_background=least)
        split = domain.draw(per_class=per_class, val_fraction=val_fraction, batch_size=4, seed=3)
        labels = domain.labels("train")
        return split, [np.bincount(labels[part], minlength=2).tolist() for part in split]

    one, counts = drawn(1, 8)
    assert counts == [[8, 1], [0, 0]]
    four, counts = drawn(4, 8)
    assert counts == [[8, 4], [0, 0]]
    assert set(one.train) < set(four.train)
    assert drawn(10, 8)[1] == [[10, 10], [0, 0]]
    assert drawn(4, 8, 0.25)[1] == [[6, 3], [2, 1]]
    assert drawn("all", 8)[1] == [[14, 14], [0, 0]]
    plain = Folder.draw(
        built(root, object="lake"), per_class=4, val_fraction=0.0, batch_size=4, seed=3
    )
    assert np.array_equal(drawn(4, 1)[0].train, plain.train)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"object": "sea"}, "no class sea in it; it has bay, city, desert, lake, wood"),
        ({"object": "lake", "background": ["bay", "see"]}, "no class see in it"),
        ({"object": "lake", "background": ["bay", "lake"]}, "lake is the object; take it out"),
        ({"object": "lake", "least_background": 0}, "least_background must be 1 or more"),
    ],
)
def test_classes_that_are_not_there_are_named(root, options, message):
    with pytest.raises(ValueError, match=message):
        built(root, **options)


def test_too_small_a_background_is_refused(tmp_path):
    fill(tmp_path, 20, ("lake",))
    fill(tmp_path, 5, ("bay", "city"))
    with pytest.raises(DataUnavailable, match="6 train images of the background against 14"):
        _ = built(str(tmp_path), object="lake").files
