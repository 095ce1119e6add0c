"""Near-copies are found, and photographs that only have much in common are not."""

import warnings
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from tests.advice.clusters import clouds
from tests.advice.pictures import another_shot, scribbles, something, stripes, thumbnails
from tests.advice.scenes import draw_scenes, has_weights
from transfer_lab.advice.album.album import read_album
from transfer_lab.advice.audit.near_copies import near_copies, together
from transfer_lab.advice.features.features import extract
from transfer_lab.advice.features.looks import THUMBNAIL
from transfer_lab.advice.features.networks import find_network
from transfer_lab.data.letters import Latin

NONE = np.zeros((0, THUMBNAIL, THUMBNAIL), np.uint8)


def same_partition(first, second) -> bool:
    pairs = set(zip(first.tolist(), second.tolist(), strict=True))
    return len(pairs) == len(set(first.tolist())) == len(set(second.tolist()))


def test_copies_are_of_one_group_and_others_of_their_own():
    features, labels, groups = clouds(15, 3, 4.0, copies=3)
    assert same_partition(near_copies(features, scribbles(groups), labels), groups)


def test_what_all_have_in_common_makes_none_alike():
    features, labels, groups = clouds(20, 3, 2.0)
    common = features + 50  # cosines of the features as they are: 0.99 and more
    unit = common / np.linalg.norm(common, axis=1, keepdims=True)
    assert (unit @ unit.T).min() > 0.99
    assert same_partition(near_copies(common, scribbles(groups), labels), groups)


def test_order_does_not_matter():
    features, pictures, groups = bursts(8)
    labels = groups // 4
    features[::5] += np.random.default_rng(2).normal(size=features[::5].shape) / 2
    order = np.random.default_rng(1).permutation(len(features))
    found = near_copies(features, pictures, labels)
    again = near_copies(features[order], pictures[order], labels[order])
    assert same_partition(found[order], again)


def bursts(count: int, *, spread: float = 0.7):
    """Features, thumbnails and groups of three shots of each scene; the more `spread`, the less
    their features have in common."""
    shots = []
    for scene in range(count):
        first = something(scene)
        shots += [first, another_shot(first, 2 * scene), another_shot(first, 2 * scene + 1)]
    draw = np.random.default_rng(0)
    features = np.repeat(draw.normal(size=(count, 40)), 3, axis=0)
    features += spread * draw.normal(size=features.shape)
    return features.astype(np.float32), thumbnails(shots), np.repeat(np.arange(count), 3)


def test_shots_of_a_moment_are_found_where_features_only_resemble():
    features, pictures, groups = bursts(10)
    assert same_partition(near_copies(features, pictures, groups // 5), groups)


def test_shots_of_a_moment_are_found_where_one_lies_in_a_wrong_folder():
    features, pictures, groups = bursts(20)
    labels = groups // 10
    labels[::15] = 1 - labels[::15]
    assert same_partition(near_copies(features, pictures, labels), groups)


def test_a_class_that_looks_alike_is_no_burst():
    """Features in tight clusters, each of different scenes."""
    draw = np.random.default_rng(0)
    features = np.repeat(draw.normal(size=(3, 40)), 12, axis=0)
    features += 0.3 * draw.normal(size=features.shape)
    labels = np.repeat(np.arange(3), 12)
    found = near_copies(features.astype(np.float32), scribbles(np.arange(36)), labels)
    assert len(np.unique(found)) == 36


def test_other_parts_of_one_cloth_are_no_burst():
    draw = np.random.default_rng(0)
    features = np.repeat(draw.normal(size=(3, 40)), 12, axis=0)
    features += 0.3 * draw.normal(size=features.shape)
    cloths = [stripes(place, period=(8, 11, 16)[place // 12]) for place in range(36)]
    labels = np.repeat(np.arange(3), 12)
    found = near_copies(features.astype(np.float32), thumbnails(cloths), labels)
    assert len(np.unique(found)) == 36


def test_identical_photographs_are_of_one_group_however_many():
    features, labels, _ = clouds(10, 2, 2.0)
    features = np.concatenate([features, np.repeat(features[:1], 30, axis=0)])
    pictures = scribbles(np.concatenate([np.arange(20), np.zeros(30, int)]))
    found = near_copies(features, pictures, np.concatenate([labels, np.repeat(labels[:1], 30)]))
    assert len(np.unique(found)) == 20 and (found[20:] == found[0]).all()


def test_pictures_that_show_nothing_are_told_by_their_features():
    features, labels, groups = clouds(10, 2, 2.0, copies=2)
    flat = np.full((40, THUMBNAIL, THUMBNAIL), 90, np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same_partition(near_copies(features, flat, labels), groups)
        grey = near_copies(np.ones_like(features), flat, labels).tolist()
    assert grey in ([0] * 40, list(range(40)))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_photographs(count):
    features = np.random.default_rng(0).normal(size=(count, 40)).astype(np.float32)
    pictures = scribbles(np.arange(count)) if count else NONE
    found = near_copies(features, pictures, np.zeros(count, np.int64))
    assert found.tolist() == list(range(count))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20))
def test_together_divides_neither_and_joins_no_more_than_it_must(pairs):
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    joined = together(first, second)
    for groups in (first, second):
        for one in np.unique(groups):
            assert len(np.unique(joined[groups == one])) == 1
    for one in np.unique(joined):
        # Within a group one comes from each to each by steps within a group of either.
        members = np.flatnonzero(joined == one)
        reached = {members[0]}
        while True:
            near = {
                m
                for m in members
                if any(first[m] == first[r] or second[m] == second[r] for r in reached)
            }
            if near <= reached:
                break
            reached |= near
        assert reached == set(members)


@has_weights
def test_shots_of_a_scene_are_found_and_other_scenes_are_not(tmp_path):
    """Photographs moved, turned and lit a little otherwise."""
    draw = np.random.default_rng(5)
    root = draw_scenes(tmp_path, per_class=8)
    for path in sorted(root.rglob("*.jpg")):
        if int(path.stem) % 2:
            continue
        image = Image.open(path)
        for shot in (1, 2):
            turned = image.rotate(draw.uniform(-2, 2), Image.Resampling.BICUBIC)
            x, y = draw.integers(4, 12, 2)
            moved = turned.crop((x, y, x + 128, y + 128))
            lit = ImageEnhance.Brightness(moved).enhance(draw.uniform(0.9, 1.1))
            lit.save(path.with_name(f"{path.stem}-{shot}.jpg"))
    album = read_album(root)
    network = find_network()
    paths, hashes = [p.path for p in album.photos], [p.sha256 for p in album.photos]
    seen = extract(paths, hashes, network, 224, cache=None)
    groups = near_copies(seen.values, seen.thumbnails, album.labels)
    scene = [f"{p.label} {p.path.stem.partition('-')[0]}" for p in album.photos]
    truth = np.unique(scene, return_inverse=True)[1]
    same = (groups[:, None] == groups[None]) & ~np.eye(len(groups), dtype=bool)
    right = truth[:, None] == truth[None]
    assert (same & right).sum() > 0.9 * (right.sum() - len(groups))
    assert (same & ~right).sum() <= 0.01 * (~right).sum()


@has_weights
def test_letters_of_a_dozen_fonts_are_seldom_copies(tmp_path):
    """Some of two classes resemble each other as much as shots of one moment do."""
    letters = Latin(160, letters="BCDEFGHJKLMNOPQRSTUVXYZ", train_per_class=8, test_per_class=1)
    labels, paths = letters.labels("train"), []
    for place, image in enumerate(chain.from_iterable(letters.image_blocks("train"))):
        paths.append(tmp_path / f"{place}.png")
        Image.fromarray(image.transpose(1, 2, 0)).save(paths[-1])
    seen = extract(paths, [path.name for path in paths], find_network(), 224, cache=None)
    groups = near_copies(seen.values, seen.thumbnails, labels)
    assert _share_in_groups(groups) < 0.15
    of_one_class = near_copies(seen.values, seen.thumbnails, np.zeros_like(labels))
    assert _share_in_groups(of_one_class) > 0.25  # what tells it are the classes


def _share_in_groups(groups) -> float:
    return float((np.bincount(groups)[groups] > 1).mean())
