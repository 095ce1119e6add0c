"""The study's scenes: how many of each, and that shapes tell them apart where colours do not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from transfer_lab.data.scenes import SCENES, OtherScenes, Scenes


def shares(domain, part: str) -> np.ndarray:
    counts = np.bincount(domain.labels(part), minlength=domain.num_classes)
    return counts / counts.sum()


def colours(images: np.ndarray) -> np.ndarray:
    """Mean, spread and histogram of each channel: all but where the colours are."""
    x = images / 255.0
    bins = [((x >= k / 6) & (x < (k + 1) / 6)).mean((2, 3)) for k in range(6)]
    return np.concatenate([x.mean((2, 3)), x.std((2, 3)), *bins], axis=1)


def edges(images: np.ndarray) -> np.ndarray:
    """How strong the edges of four directions are in each of 6 x 6 places, whatever the colours."""
    grey = images.mean(1) / 255
    grey = (grey[:, ::2, ::2] + grey[:, 1::2, ::2] + grey[:, ::2, 1::2] + grey[:, 1::2, 1::2]) / 4
    down, across = np.gradient(grey, axis=(1, 2))
    strength, way = np.hypot(down, across), np.arctan2(down, across) % np.pi
    place = np.arange(grey.shape[1]) * 6 // grey.shape[1]
    pool = (place == np.arange(6)[:, None]).astype(float)
    found = []
    for k in range(4):
        near = np.maximum(0, np.cos(2 * (way - k * np.pi / 4)))
        found.append(np.einsum("rh,nhw,cw->nrc", pool, strength * near, pool))
    features = np.stack(found, 1).reshape(len(images), -1)
    return features / features.mean(1, keepdims=True)


def accuracies(domain, *descriptions) -> list[float]:
    """Test accuracy of a linear model on each description of the images."""
    train, test = domain.make_images("train"), domain.make_images("test")
    found = []
    for describe in descriptions:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=100))
        model.fit(describe(train), domain.labels("train"))
        found.append(model.score(describe(test), domain.labels("test")))
    return found


def test_the_study_has_its_sizes_and_its_largest_class():
    domain = Scenes(8)
    train, test = (np.bincount(domain.labels(part)) for part in ("train", "test"))
    assert (train.sum(), test.sum()) == (4591, 1200)
    assert (train.max(), test.max()) == (808, 211)
    assert round(train.max() / train.sum(), 3) == round(test.max() / test.sum(), 3) == 0.176
    assert train.min() >= 100
    assert test.min() >= 26
    assert len(set(train)) == 16
    assert np.array_equal(np.argsort(-train), np.argsort(-test))


def test_study_and_source_share_no_scene_and_every_scene_is_in_one_of_them():
    assert len(Scenes.classes) == len(OtherScenes.classes) == 16
    assert set(Scenes.classes) | set(OtherScenes.classes) == set(SCENES)
    assert len(SCENES) == 32


@pytest.mark.parametrize("images", [96, 160, 1000, 4591])
def test_a_smaller_pool_keeps_the_shares_as_far_as_every_class_has_a_few(images):
    domain, whole = Scenes(8, images=images), Scenes(8)
    assert len(domain.labels("train")) == images
    for part in ("train", "test"):
        assert np.bincount(domain.labels(part)).min() >= 6
        n = len(domain.labels(part))
        assert np.array_equal(domain.labels(part), whole.labels(part)[:n])
        if n >= 1000:
            assert np.abs(shares(domain, part) - shares(whole, "train")).max() < 0.001


@pytest.mark.parametrize("images", [0, 95, 4592])
def test_a_pool_too_small_for_every_class_or_larger_than_the_study_is_refused(images):
    with pytest.raises(ValueError, match="images must be from 96 to 4591"):
        Scenes(8, images=images)


@pytest.mark.parametrize(
    "domain",
    [Scenes(32, images=1000), OtherScenes(32, train_per_class=50, test_per_class=20)],
    ids=["study", "others"],
)
def test_edges_tell_the_scene_and_colours_do_not(domain):
    largest = shares(domain, "test").max()
    by_colours, by_edges = accuracies(domain, colours, edges)
    assert by_colours < largest + 0.06
    assert by_edges > largest + 0.15
