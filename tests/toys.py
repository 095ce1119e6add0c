"""A small separable domain and a small backbone with every kind of state that can leak."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from transfer_lab.backbones.base import Backbone
from transfer_lab.data.base import ImageDomain

torch.set_num_threads(1)  # tiny batches: a second thread costs more than it gives


class Blocks(ImageDomain):
    """Each class is a bright quadrant on noise: separable by a linear classifier of pixels."""

    classes = ("a", "b", "c", "d")

    def __init__(self, image_size=12, *, train_per_class=24, test_per_class=20, shuffled=False):
        super().__init__(image_size)
        self.counts = {"train": train_per_class, "test": test_per_class}
        self.shuffled = shuffled
        self.made = []

    @property
    def identity(self):
        return {"counts": self.counts}

    def labels(self, part):
        labels = np.repeat(np.arange(4), self.counts[part])
        if self.shuffled:
            labels = np.random.default_rng(7).permutation(labels)
        return labels.astype(np.int64)

    def image_blocks(self, part):
        self.made.append(part)
        true = np.repeat(np.arange(4), self.counts[part])
        rng = np.random.default_rng(part == "test")
        size = self.image_size
        images = rng.integers(0, 90, (len(true), 3, size, size), dtype=np.uint8)
        half = size // 2
        for image, label in zip(images, true, strict=True):
            row, column = divmod(int(label), 2)
            image[:, row * half : (row + 1) * half, column * half : (column + 1) * half] += 120
        yield images


class Leaky(Backbone):
    """Three stages with batch norm and dropout: what a freeze that does not freeze would change."""

    def __init__(self, image_size=12):
        def block(before, after):
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


def drawn(domain=None, *, per_class=16, val_fraction=0.25, batch_size=8, seed=0):
    """A toy domain with its subset drawn."""
    domain = domain or Blocks()
    domain.draw(per_class=per_class, val_fraction=val_fraction, batch_size=batch_size, seed=seed)
    return domain
