"""Fine-tuning against a classifier that tells source from target features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import check_positive
from transfer_lab.regimes.features.alignment import AlignedTraining


class DANN(AlignedTraining):
    """`joint_training` with a discriminator that learns to tell source features from unlabelled
    target features, and whose gradient reaches the stages times -penalty lambda: they learn that
    it cannot (Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks").
    lambda = 2 / (1 + exp(-10 p)) - 1, p being the part of the steps that is over; 1 throughout
    where no end is known, as with patience. The discriminator, a hidden layer, learns at the
    head's rate.

    Options: `penalty`, 0 to switch it off; `units`: of the hidden layer; `weight`, `k`,
    `backbone_lr`: as `joint_training` has them.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        penalty: float = 0.1,
        units: int = 128,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, penalty=penalty, **options)
        check_positive(units=units)
        self.units = units

    def meet(self, classes: Mapping[str, int]) -> None:
        """Make the discriminator."""
        hidden = nn.Linear(self.backbone.num_features, self.units)
        self.discriminator = nn.Sequential(hidden, nn.ReLU(), nn.Linear(self.units, 1))

    def alignment(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        factor = self.penalty * ramp(self.trainer.global_step, self.steps)
        return self.domain_loss(Reversal.apply(source, factor), Reversal.apply(target, factor))

    def domain_loss(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The discriminator's cross-entropy on features (n, d) and (m, d), each domain for half."""
        own, other = self.discriminator(source), self.discriminator(target)
        return (F.softplus(-own).mean() + F.softplus(other).mean()) / 2


class Reversal(torch.autograd.Function):
    """The identity, whose gradient is that of what follows times -factor."""

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, factor: float) -> torch.Tensor:
        ctx.factor = factor
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -ctx.factor * gradient, None


def ramp(step: int, steps: float) -> float:
    """lambda after so many of all steps."""
    if math.isinf(steps):
        return 1.0
    return 2 / (1 + math.exp(-10 * step / max(1, steps))) - 1
