"""Near-copies are found, and photographs that only have much in common are not."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from tests.advice.clusters import clouds
from tests.advice.scenes import draw_scenes, has_weights
from transfer_lab.advice.album import read_album
from transfer_lab.advice.features import extract
from transfer_lab.advice.near_copies import near_copies, together
from transfer_lab.advice.networks import find_network


def same_partition(first, second) -> bool:
    pairs = set(zip(first.tolist(), second.tolist(), strict=True))
    return len(pairs) == len(set(first.tolist())) == len(set(second.tolist()))


def test_copies_are_of_one_group_and_others_of_their_own():
    features, _, groups = clouds(15, 3, 4.0, copies=3)
    assert same_partition(near_copies(features), groups)


def test_what_all_have_in_common_makes_none_alike():
    features, _, groups = clouds(20, 3, 2.0)
    common = features + 50  # cosines of the features as they are: 0.99 and more
    unit = common / np.linalg.norm(common, axis=1, keepdims=True)
    assert (unit @ unit.T).min() > 0.99
    assert same_partition(near_copies(common), groups)


def test_order_does_not_matter():
    features, _, _ = clouds(12, 2, 2.0, copies=2)
    order = np.random.default_rng(1).permutation(len(features))
    assert same_partition(near_copies(features)[order], near_copies(features[order]))


def test_photographs_without_any_difference_are_copies():
    assert near_copies(np.ones((4, 8), np.float32)).tolist() in ([0, 0, 0, 0], [0, 1, 2, 3])


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
    groups = near_copies(extract(paths, hashes, network, 224, cache=None).values)
    scene = [f"{p.label} {p.path.stem.partition('-')[0]}" for p in album.photos]
    truth = np.unique(scene, return_inverse=True)[1]
    same = (groups[:, None] == groups[None]) & ~np.eye(len(groups), dtype=bool)
    right = truth[:, None] == truth[None]
    assert (same & right).sum() > 0.9 * (right.sum() - len(groups))
    assert (same & ~right).sum() <= 0.01 * (~right).sum()
