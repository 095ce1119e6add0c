"""The articles' MLP and CNN as published: raw pixels in, and the initialisation of their day."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transfer_lab.backbones.cnn import CNN
from transfer_lab.backbones.mlp import MLP

_UNIFORM = 0.05
_ZERO, _ONE = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)
"""The statistics that raw bytes amount to."""


class PublishedMLP(MLP):
    """The MLP on raw pixels from 0 to 255, with weights drawn uniformly from ± 0.05.

    That is Keras' `init='uniform'`, which the articles' listing implies (an inference: the data
    and the code of the study are not public).
    """

    mean, std = _ZERO, _ONE

    def prepare(self, images: Tensor) -> Tensor:
        """Bytes as floats, and nothing else."""
        return images.float().contiguous(memory_format=torch.channels_last)

    def initialise(self) -> None:
        """Uniform weights, zero biases."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.uniform_(module.weight, -_UNIFORM, _UNIFORM)
                nn.init.zeros_(module.bias)


class PublishedCNN(CNN):
    """The CNN on raw pixels from 0 to 255, with Keras' default initialisation (Glorot, uniform)."""

    mean, std = _ZERO, _ONE

    def prepare(self, images: Tensor) -> Tensor:
        """Bytes as floats, and nothing else."""
        return images.float().contiguous(memory_format=torch.channels_last)

    def initialise(self) -> None:
        """Glorot & Bengio 2010, zero biases."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
