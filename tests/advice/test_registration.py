"""A picture is recognised where it was moved, turned and lit otherwise, and no other one is."""

import numpy as np
import pytest

from tests.advice.pictures import another_shot, something, stripes, thumbnails
from transfer_lab.advice.audit.registration import recurring, registered
from transfer_lab.advice.features.looks import THUMBNAIL

SCENES = [something(seed) for seed in range(12)]
PLACES = np.arange(len(SCENES))


def test_another_shot_matches_and_another_scene_does_not():
    shots = [another_shot(scene, seed) for seed, scene in enumerate(SCENES)]
    pictures = thumbnails(SCENES + shots)
    assert registered(pictures, PLACES, PLACES + len(PLACES)).min() > 0.9
    others = np.roll(PLACES, 1) + len(PLACES)
    assert registered(pictures, PLACES, others).max() < 0.4


def test_it_is_about_the_same_both_ways():
    shots = [another_shot(scene, seed) for seed, scene in enumerate(SCENES)]
    pictures = thumbnails(SCENES + shots)
    there = registered(pictures, PLACES, PLACES + len(PLACES))
    back = registered(pictures, PLACES + len(PLACES), PLACES)
    assert back == pytest.approx(there, abs=0.05)


def test_brightness_and_contrast_change_little():
    scenes = thumbnails(SCENES)
    darker = (30 + scenes * 0.5).astype(np.uint8)
    found = registered(np.concatenate([scenes, darker]), PLACES, PLACES + len(PLACES))
    assert found.min() > 0.9


def test_a_match_depends_on_the_two_alone():
    pictures = thumbnails([*SCENES, another_shot(SCENES[0], 7)])
    alone = registered(pictures[[0, -1]], np.array([0]), np.array([1]))
    among = registered(pictures, np.arange(12), np.full(12, 12))
    assert among[0] == pytest.approx(alone[0], abs=0.01)


def test_a_flat_picture_matches_nothing_not_even_itself():
    flat = np.full((2, THUMBNAIL, THUMBNAIL), 128, np.uint8)
    noisy = flat + np.random.default_rng(0).integers(0, 2, flat.shape).astype(np.uint8)
    for pictures in (flat, noisy):
        assert abs(registered(pictures, np.array([0]), np.array([1]))[0]) < 0.1
    assert recurring(flat).tolist() == [0, 0]


def test_stripes_recur_and_scenes_do_not():
    assert recurring(thumbnails([stripes(1), stripes(2, period=16)])).min() > 0.9
    assert np.median(recurring(thumbnails(SCENES))) < 0.5


def test_no_pairs():
    nowhere = np.arange(0)
    assert registered(thumbnails(SCENES), nowhere, nowhere).shape == (0,)
