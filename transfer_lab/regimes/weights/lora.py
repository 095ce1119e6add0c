"""Learn a change of low rank to each weight, and keep the weights."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import check_positive
from transfer_lab.regimes.parts import Added
from transfer_lab.regimes.weights.added import AddedModule


class LoRA(AddedModule):
    """Each weight W of a linear or convolutional layer becomes W + (alpha / rank) B A; W, biases
    and normalisation layers stay the source's, A starts at random, B at 0 (Hu et al. 2021, "LoRA:
    Low-Rank Adaptation of Large Language Models", eq. 3, who leave convolutions out: here a kernel
    is a matrix of one row a filter). Beside them the head learns. What is stored are the sums.

    Options: `rank`: of B A, at most that of W; `alpha`: its factor times the rank; `k`: number of
    leading stages that stay as they are; `backbone_lr`: peak rate of A and B.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        rank: int = 4,
        alpha: float = 8.0,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        check_positive(rank=rank, alpha=alpha)
        self.rank, self.alpha = rank, alpha

    def takes(self, stage: nn.Module) -> bool:
        return bool(_layers(stage))

    def add(self, index: int) -> None:
        for layer in _layers(self.backbone.stages[index]):
            change = LowRank(layer.weight, self.rank, self.alpha / self.rank)
            parametrize.register_parametrization(layer, "weight", change)

    def merge(self) -> None:
        for layer in _layers(self.backbone.stages):
            if parametrize.is_parametrized(layer, "weight"):
                parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


class LowRank(Added):
    """A weight (out, ...) plus `scale` times a product of two matrices, 0 at the start."""

    def __init__(self, weight: torch.Tensor, rank: int, scale: float):
        super().__init__()
        rows, columns = len(weight), weight[0].numel()
        rank = min(rank, rows, columns)
        self.scale = scale
        self.a = nn.Parameter(weight.new_empty(rank, columns))
        self.b = nn.Parameter(weight.new_zeros(rows, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The weight with its change."""
        return weight + self.scale * (self.b @ self.a).view(weight.shape)


def _layers(module: nn.Module) -> list[nn.Module]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
