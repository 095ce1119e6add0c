"""The small convolutional network of the articles' scene study."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from transfer_lab.backbones.base import Backbone

_BLOCKS = 3


class CNN(Backbone):
    """Three blocks of 32 5x5 filters, ReLU and max pooling; a stage is a block.

    The articles pool 4x4 at 224 pixels. Smaller images get the largest pooling, up to 4, that
    leaves a map of at least 2x2. Features are the flattened map, or those of a dense layer on it.

    Options: `filters`: filters of a block; `dense`: units of a fourth stage, a dense layer (the
    articles have 64; 0: none); `dropout`: share of its outputs that training drops.
    """

    def __init__(self, image_size: int, *, filters: int = 32, dense: int = 0, dropout: float = 0.0):
        if filters < 1 or dense < 0:
            raise ValueError("filters must be at least 1, and dense at least 0")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), not {dropout}")
        pool = pooling_for(image_size)
        channels = [3, *[filters] * _BLOCKS]
        blocks = [
            nn.Sequential(
                # After the pooling the ReLU gives the same, and has a fraction of the map to do.
                nn.Conv2d(before, after, kernel_size=5, padding=2),
                nn.MaxPool2d(pool),
                nn.ReLU(),
            )
            for before, after in pairwise(channels)
        ]
        blocks[-1].append(nn.Flatten())
        features = filters * (image_size // pool**_BLOCKS) ** 2
        if dense:
            layer = nn.Linear(features, dense)
            blocks.append(nn.Sequential(layer, nn.ReLU(), nn.Dropout(dropout)))
        super().__init__(blocks, num_features=dense or features)


def pooling_for(image_size: int) -> int:
    """The largest pooling, 4 to 1, whose three floor divisions leave at least 2 pixels."""
    return next(pool for pool in (4, 3, 2, 1) if image_size // pool**_BLOCKS >= 2)
