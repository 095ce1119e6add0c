"""A small separable domain and a small backbone with every kind of state that can leak."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import nn

from transfer_lab.backbones.base import Backbone
from transfer_lab.data.base import ImageDomain, Part


class Blocks(ImageDomain):
    """Each class is a bright quadrant on noise: separable by a linear classifier of pixels.

    `variant`: of other noise.
    """

    classes = ("a", "b", "c", "d")
    annotates = ("boxes", "masks")

    def __init__(
        self,
        image_size: int = 12,
        *,
        train_per_class: int = 24,
        test_per_class: int = 20,
        shuffled: bool = False,
        variant: int = 0,
    ):
        super().__init__(image_size)
        self.counts = {"train": train_per_class, "test": test_per_class}
        self.shuffled, self.variant = shuffled, variant
        self.made: list[Part] = []

    @property
    def identity(self) -> dict[str, object]:
        return {"counts": self.counts, "variant": self.variant}

    def labels(self, part: Part) -> np.ndarray:
        labels = np.repeat(np.arange(4), self.counts[part])
        if self.shuffled:
            labels = np.random.default_rng(7).permutation(labels)
        return labels.astype(np.int64)

    def image_blocks(self, part: Part) -> Iterator[np.ndarray]:
        self.made.append(part)
        true = np.repeat(np.arange(4), self.counts[part])
        rng = np.random.default_rng((part == "test") + 2 * self.variant)
        size = self.image_size
        images = rng.integers(0, 90, (len(true), 3, size, size), dtype=np.uint8)
        for image, mask in zip(images, self._masks_of(true), strict=True):
            image += 120 * mask
        yield images

    def mask_blocks(self, part: Part) -> Iterator[np.ndarray]:
        yield self._masks_of(np.repeat(np.arange(4), self.counts[part]))

    def _masks_of(self, classes: np.ndarray) -> np.ndarray:
        """(n, size, size) uint8: 1 in the quadrant of each."""
        half = self.image_size // 2
        masks = np.zeros((len(classes), self.image_size, self.image_size), np.uint8)
        for mask, label in zip(masks, classes, strict=True):
            row, column = divmod(int(label), 2)
            mask[row * half : (row + 1) * half, column * half : (column + 1) * half] = 1
        return masks


class Leaky(Backbone):
    """Three stages with batch norm and dropout: what a freeze that does not freeze would change."""

    def __init__(self, image_size: int = 12):
        def block(before: int, after: int) -> nn.Module:
            return nn.Sequential(
                nn.Conv2d(before, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Dropout(0.1),
            )

        side = image_size // 4
        dense = nn.Sequential(nn.Flatten(), nn.Linear(8 * side**2, 32), nn.ReLU())
        super().__init__([block(3, 8), block(8, 8), dense], num_features=32)
        self.image_size = image_size


def drawn(
    domain: ImageDomain | None = None,
    *,
    per_class: int = 16,
    val_fraction: float = 0.25,
    batch_size: int = 8,
    seed: int = 0,
) -> ImageDomain:
    """A toy domain, or another one, with its subset drawn."""
    domain = domain or Blocks()
    domain.draw(per_class=per_class, val_fraction=val_fraction, batch_size=batch_size, seed=seed)
    return domain
