"""Distances whose order is known: the axis must find it, and labels must not matter to it."""

import numpy as np
import pytest
import torch

from tests.toys import Leaky
from transfer_lab.backbones.frozen import FrozenPrefix
from transfer_lab.data.letters import Latin
from transfer_lab.data.textures import Textures
from transfer_lab.reporting.figures.ladders import summary, write_picture
from transfer_lab.similarity.climbed import Climbed
from transfer_lab.similarity.ladder_check import ladders
from transfer_lab.similarity.ladders import (
    BLOCKS,
    STRENGTHS,
    block_shuffled,
    blurred,
    mislabelled,
    mixed,
    noise_images,
    with_noise,
)
from transfer_lab.similarity.measure import Sample
from transfer_lab.similarity.random_space import random_features

SIDE = 20
LABEL_FREE = ("noise", "blur", "shuffled blocks", "another domain", "other classes")


def whole(domain) -> Sample:
    return Sample(domain.make_images("train"), domain.labels("train"))


@pytest.fixture(scope="module")
def letters() -> Sample:
    return whole(Latin(SIDE, letters="ABCDEFGH", train_per_class=75))


@pytest.fixture(scope="module")
def climbed(letters):
    other = whole(Textures(SIDE, train_per_class=8))
    return {one.name: one for one in ladders(random_features, letters, other, range(3), 150)}


@pytest.mark.parametrize("name", LABEL_FREE)
def test_the_axis_finds_the_order_of_every_ladder(climbed, name):
    ladder = Climbed("letters", "random filters", *climbed[name])
    assert ladder.rank_correlation == pytest.approx(1)
    values = np.array(ladder.values)
    assert (values[:, 0] < values[:, -1]).all(), "for every seed"


@pytest.mark.parametrize("name", LABEL_FREE)
def test_every_ladder_starts_at_zero(climbed, name):
    """Within a root of 2 % of the squared distance to the far domain: images are few here."""
    assert np.mean(climbed[name].values, axis=0)[0] == pytest.approx(0, abs=0.15)


def test_wrong_labels_lower_what_looks_at_labels(climbed):
    ladder = Climbed("letters", "random filters", *climbed["wrong labels"])
    assert ladder.rank_correlation == pytest.approx(-1)


def test_a_backbones_features_find_the_order_as_well(letters):
    torch.manual_seed(0)
    prefix = FrozenPrefix(Leaky(SIDE).eval(), 3, torch.device("cpu"))

    def space(images: np.ndarray) -> np.ndarray:
        return prefix(torch.as_tensor(np.ascontiguousarray(images))).numpy()

    other = whole(Textures(SIDE, train_per_class=8))
    found = {one.name: one for one in ladders(space, letters, other, range(3), 150)}
    for name in ("blur", "another domain"):
        assert Climbed("letters", "toy", *found[name]).rank_correlation == pytest.approx(1), name


def test_a_rung_of_zero_changes_nothing_and_each_keeps_kind_and_shape(letters):
    images = letters.images[:5]
    for change in (with_noise, blurred):
        assert np.array_equal(change(images, STRENGTHS[0], 0), images)
        assert change(images, 3, 0).dtype == np.uint8
        assert not np.array_equal(change(images, 3, 0), images)
    assert np.array_equal(block_shuffled(images, BLOCKS[0], 0), images)


@pytest.mark.parametrize("side", [16, 20, 33])
@pytest.mark.parametrize("blocks", BLOCKS)
def test_shuffling_blocks_moves_pixels_and_loses_none(side, blocks):
    images = np.random.default_rng(0).integers(0, 256, (4, 3, side, side), dtype=np.uint8)
    moved = block_shuffled(images, blocks, 1)
    for before, after in zip(images, moved, strict=True):
        pixels = [
            np.sort(i.reshape(3, -1).T.copy().view("u1,u1,u1").ravel()) for i in (before, after)
        ]
        assert np.array_equal(*pixels)
    assert np.array_equal(moved, images) == (blocks == 1)


def test_a_mix_holds_the_share_that_was_asked_for():
    first, second = np.zeros((50, 2)), np.ones((60, 2))
    for share in (0, 0.2, 1):
        assert mixed(first, second, share, 0)[:, 0].mean() == share
    with pytest.raises(ValueError, match="there are 3"):
        mixed(first, second[:3], 0.5, 0)


def test_wrong_labels_are_wrong_and_as_many_as_asked_for():
    labels = np.arange(100) % 7 * 10
    for share in (0, 0.3, 1):
        found = mislabelled(labels, share, 0)
        assert np.mean(found != labels) == share
        assert set(found) <= set(labels)


def test_noise_images_are_uniform_and_the_same_every_time():
    images = noise_images(20, 8)
    assert np.array_equal(images, noise_images(20, 8))
    assert images.min() < 5 and images.max() > 250
    assert images.mean() == pytest.approx(127.5, abs=3)


def test_random_filters_are_one_function_whatever_the_batch(letters):
    images = letters.images[:70]
    together = random_features(images)
    assert together.shape == (70, 1088)
    assert np.allclose(together[65:], random_features(images[65:]), atol=1e-4)


def test_ladders_become_a_table_and_a_picture(climbed, tmp_path):
    found = [Climbed("letters", "random filters", *ladder) for ladder in climbed.values()]
    assert "+1.00" in summary(found) and "-1.00" in summary(found)
    write_picture(found, tmp_path / "ladders.png")
    assert (tmp_path / "ladders.png").read_bytes().startswith(b"\x89PNG")
