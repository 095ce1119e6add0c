"""scikit-learn's digits: 1,797 real handwritten digits, 8x8, bundled with the library."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from transfer_lab.domains.base import ImageDomain, Part

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

    def make_images(self, part: Part) -> np.ndarray:
        size = (self.image_size, self.image_size)
        grey = np.round(load_digits().images[_parts()[part]] * (255 / 16)).astype(np.uint8)
        large = [
            np.asarray(Image.fromarray(g).resize(size, Image.Resampling.BILINEAR)) for g in grey
        ]
        return np.repeat(np.stack(large)[:, None], 3, axis=1)


@cache
def _parts() -> dict[Part, np.ndarray]:
    target = load_digits().target
    train, test = train_test_split(
        np.arange(len(target)), test_size=_TEST_IMAGES, stratify=target, random_state=0
    )
    return {"train": np.sort(train), "test": np.sort(test)}
