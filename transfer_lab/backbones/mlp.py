"""The multilayer perceptron of the articles' scene study."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from transfer_lab.backbones.base import Backbone


class MLP(Backbone):
    """Three hidden layers of 500 units with ReLU on the flattened image; a stage is a layer.

    Options: `width`: units of a hidden layer; `depth`: number of hidden layers; `dropout`: share
    of each layer's outputs that training drops.
    """

    def __init__(self, image_size: int, *, width: int = 500, depth: int = 3, dropout: float = 0.0):
        if width < 1 or depth < 1:
            raise ValueError("width and depth must be at least 1")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), not {dropout}")
        sizes = [3 * image_size**2, *[width] * depth]
        layers = [
            nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout))
            for before, after in pairwise(sizes)
        ]
        layers[0].insert(0, nn.Flatten())
        super().__init__(layers, num_features=width)
