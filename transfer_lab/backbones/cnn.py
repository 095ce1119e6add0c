"""The small convolutional network of the articles' scene study."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from transfer_lab.backbones.base import Backbone

_BLOCKS = 3


class CNN(Backbone):
    """Three blocks of 32 5x5 filters, ReLU and max pooling; a stage is a block.

    The articles pool 4x4 at 224 pixels. Smaller images get the largest pooling, up to 4, that
    leaves a map of at least 2x2. Features are the flattened map.

    Options: `filters`: filters of a block.
    """

    def __init__(self, image_size: int, *, filters: int = 32):
        if filters < 1:
            raise ValueError("filters must be at least 1")
        pool = pooling_for(image_size)
        channels = [3, *[filters] * _BLOCKS]
        blocks = [
            nn.Sequential(
                nn.Conv2d(before, after, kernel_size=5, padding=2), nn.ReLU(), nn.MaxPool2d(pool)
            )
            for before, after in pairwise(channels)
        ]
        blocks[-1].append(nn.Flatten())
        side = image_size // pool**_BLOCKS
        super().__init__(blocks, num_features=filters * side**2)


def pooling_for(image_size: int) -> int:
    """The largest pooling, 4 to 1, whose three floor divisions leave at least 2 pixels."""
    return next(pool for pool in (4, 3, 2, 1) if image_size // pool**_BLOCKS >= 2)
