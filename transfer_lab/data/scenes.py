"""Rendered scenes: a stand-in for a study of photographs of 16 kinds of scene."""

from __future__ import annotations

from functools import cache

import numpy as np
import PIL

from transfer_lab.data.base import Part
from transfer_lab.data.rendered import BalancedDomain, RenderedDomain
from transfer_lab.data.scenery import other_indoors, other_outdoors, study_indoors, study_outdoors
from transfer_lab.data.scenery.sheet import Sheet

STUDY = {
    "street": 808,
    "mountain": 384,
    "coast": 360,
    "forest": 338,
    "open_country": 318,
    "tall_building": 300,
    "highway": 284,
    "living_room": 268,
    "suburb": 252,
    "kitchen": 238,
    "bedroom": 222,
    "office": 206,
    "bridge": 190,
    "shop": 172,
    "industry": 149,
    "railway": 102,
}
"""Training images of each class, the largest with 17.6 %, as in the study of photographs.

The study tells its totals and its largest share; the other 15 sizes are made up.
"""
SCENES = study_outdoors.SCENES | study_indoors.SCENES | other_outdoors.SCENES | other_indoors.SCENES
"""Name -> how the scene is drawn."""
TRAIN_IMAGES, TEST_IMAGES = sum(STUDY.values()), 1200
_FULL_ROUNDS = 6


class Scenes(RenderedDomain):
    """The study's 16 scenes: 4,591 training and 1,200 test images, unequally frequent.

    Both parts have the classes in the same proportions. The images of a smaller pool are the first
    of the whole one, and its smallest classes have a few more images than their share.

    Options: `images`: training images, 96 to 4,591; the test set shrinks with them, to no fewer
    than 96; that of RenderedDomain.
    """

    classes = tuple(STUDY)

    def __init__(self, image_size: int, *, images: int = TRAIN_IMAGES, render_seed: int = 0):
        super().__init__(image_size, render_seed=render_seed)
        least = _FULL_ROUNDS * self.num_classes
        if not least <= images <= TRAIN_IMAGES:
            raise ValueError(f"images must be from {least} to {TRAIN_IMAGES}, not {images}")
        test = round(images * TEST_IMAGES / TRAIN_IMAGES)
        self.sizes = {"train": images, "test": max(test, least)}

    @property
    def identity(self) -> dict[str, object]:
        return super().identity | {"sizes": self.sizes, "pillow": PIL.__version__}

    def labels(self, part: Part) -> np.ndarray:
        return _study_order()[: self.sizes[part]].copy()

    def render(self, labels: np.ndarray, rngs: list[np.random.Generator]) -> np.ndarray:
        return _drawn([self.classes[y] for y in labels], rngs, self.image_size)


class OtherScenes(BalancedDomain):
    """16 scenes that are not in the study, made of the same kinds of things: a source for it.

    Options: those of BalancedDomain.
    """

    classes = (*other_outdoors.SCENES, *other_indoors.SCENES)

    def __init__(
        self,
        image_size: int,
        *,
        train_per_class: int = 300,
        test_per_class: int = 60,
        render_seed: int = 0,
    ):
        super().__init__(
            image_size,
            train_per_class=train_per_class,
            test_per_class=test_per_class,
            render_seed=render_seed,
        )

    @property
    def identity(self) -> dict[str, object]:
        return super().identity | {"pillow": PIL.__version__}

    def render(self, labels: np.ndarray, rngs: list[np.random.Generator]) -> np.ndarray:
        return _drawn([self.classes[y] for y in labels], rngs, self.image_size)


@cache
def _study_order() -> np.ndarray:
    """Class of each image, such that any beginning has the classes in about the study's shares.

    First every class a few times; then by the rule of Sainte-Laguë, which hands out seats in
    parliament: the k-th image of a class stands at (k - 1/2) / count.
    """
    label = np.repeat(np.arange(len(STUDY)), list(STUDY.values()))
    nth = np.concatenate([np.arange(count) for count in STUDY.values()])
    place = (nth + 0.5) / np.array(list(STUDY.values()))[label]
    early = np.minimum(nth, _FULL_ROUNDS)
    place[nth < _FULL_ROUNDS] = 0
    return label[np.lexsort((label, place, early))].astype(np.int64)


def _drawn(names: list[str], rngs: list[np.random.Generator], size: int) -> np.ndarray:
    images = np.empty((len(names), 3, size, size), np.uint8)
    for image, name, rng in zip(images, names, rngs, strict=True):
        sheet = Sheet(size, rng)
        SCENES[name](sheet)
        image[:] = sheet.finished()
    return images
