"""Domains whose images are computed: any size and count, deterministic in seed and index."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator

import numpy as np

from transfer_lab.data.base import ImageDomain, Part
from transfer_lab.experiment.seeds import derive

Make = Callable[[np.ndarray, list[np.random.Generator]], np.ndarray]
"""Classes, and each image's own generator -> a row an image."""
_IMAGES, _PIXELS = 1024, 2**18
"""At most so many are rendered at once; a pixel takes about a hundred bytes meanwhile."""


class RenderedDomain(ImageDomain):
    """Image i of a part depends on (seed, part, i) and its class and nothing else.

    Option: `render_seed`: another seed gives another dataset of the same kind.
    """

    def __init__(self, image_size: int, *, render_seed: int = 0):
        super().__init__(image_size)
        self.render_seed = render_seed

    @property
    def identity(self) -> dict[str, object]:
        return {"classes": list(self.classes), "render_seed": self.render_seed}

    def image_blocks(self, part: Part) -> Iterator[np.ndarray]:
        return self.blocks(part, self.render)

    def blocks(self, part: Part, make: Make) -> Iterator[np.ndarray]:
        """What `make` gives for the images of a part, some at a time."""
        labels = self.labels(part)
        # The domain's name is in the stream: two scripts must not share a letter pixel for pixel.
        stream = derive(self.render_seed, type(self).__name__, part)
        step = max(1, min(_IMAGES, _PIXELS // self.image_size**2))
        for start in range(0, len(labels), step):
            index = range(start, min(start + step, len(labels)))
            rngs = [np.random.default_rng([stream, i]) for i in index]
            yield make(labels[index.start : index.stop], rngs)

    @abstractmethod
    def render(self, labels: np.ndarray, rngs: list[np.random.Generator]) -> np.ndarray:
        """Images (n, 3, s, s) uint8 of these classes, each from its own generator."""


class BalancedDomain(RenderedDomain):
    """As many images of every class: image i shows class i mod C.

    A larger pool therefore contains a smaller one, image for image.

    Options: `train_per_class`, `test_per_class`: images per class in the pool and the test set;
    that of RenderedDomain.
    """

    def __init__(
        self,
        image_size: int,
        *,
        train_per_class: int = 500,
        test_per_class: int = 100,
        render_seed: int = 0,
    ):
        super().__init__(image_size, render_seed=render_seed)
        for name, value in (
            ("train_per_class", train_per_class),
            ("test_per_class", test_per_class),
        ):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        self.per_class = {"train": train_per_class, "test": test_per_class}

    @property
    def identity(self) -> dict[str, object]:
        return super().identity | {"per_class": self.per_class}

    def labels(self, part: Part) -> np.ndarray:
        return np.tile(np.arange(self.num_classes, dtype=np.int64), self.per_class[part])


def paint(coverage: np.ndarray, rngs: list[np.random.Generator]) -> np.ndarray:
    """Ink on paper: random colours a random contrast apart, then pixel noise.

    `coverage` is (n, s, s) in [0, 1]: how much of each pixel the ink covers.
    """
    n, size = coverage.shape[:2]
    ink, paper = np.empty((n, 3, 1, 1)), np.empty((n, 3, 1, 1))
    noise = np.empty((n, 3, size, size), np.float32)
    for i, rng in enumerate(rngs):
        middle, contrast = rng.uniform(0.4, 0.6), rng.uniform(0.2, 0.4)
        sign = rng.choice((-1.0, 1.0))
        tint = rng.uniform(-0.08, 0.08, (2, 3, 1, 1))
        ink[i], paper[i] = middle + sign * contrast + tint[0], middle - sign * contrast + tint[1]
        noise[i] = rng.standard_normal((3, size, size), np.float32) * rng.uniform(0.02, 0.08)
    image = paper + (ink - paper) * coverage[:, None] + noise
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
