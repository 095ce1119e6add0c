"""scikit-learn's digits: 1,797 real handwritten digits, 8x8, bundled with the library."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from transfer_lab.data.base import ImageDomain, Part

_TEST_IMAGES = 797


class Digits(ImageDomain):
    """Handwritten digits (UCI "Optical Recognition of Handwritten Digits", Alpaydin & Kaynak 1998).

    797 images, drawn once and stratified, are the test set; the other 1,000 are the pool.
    """

    classes = tuple("0123456789")

    @property
    def identity(self) -> dict[str, object]:
        return {"test_images": _TEST_IMAGES}

    def original_sizes(self) -> list[tuple[int, int]]:
        return [(8, 8)]

    def labels(self, part: Part) -> np.ndarray:
        return load_digits().target[_parts()[part]].astype(np.int64)

    def image_blocks(self, part: Part) -> Iterator[np.ndarray]:
        size = (self.image_size, self.image_size)
        grey = np.round(load_digits().images[_parts()[part]] * (255 / 16)).astype(np.uint8)
        for image in grey:
            large = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
            yield np.stack([large] * 3)[None]


@cache
def _parts() -> dict[Part, np.ndarray]:
    target = load_digits().target
    train, test = train_test_split(
        np.arange(len(target)), test_size=_TEST_IMAGES, stratify=target, random_state=0
    )
    return {"train": np.sort(train), "test": np.sort(test)}
