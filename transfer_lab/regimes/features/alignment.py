"""What methods have in common that draw the features of source and target together in training."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.instances.joint_training import JointTraining
from transfer_lab.regimes.objective import Seen, Streams


class AlignedTraining(JointTraining):
    """`joint_training` plus a term that is small where a batch of the source and one of unlabelled
    target images have features alike. Each goes through the network by itself, so that batch
    normalisation has the statistics of one domain.

    `penalty`: what multiplies the term, 0 to switch it off.
    """

    def __init__(
        self, backbone: Backbone, num_classes: int, *, penalty: float = 1.0, **options: Any
    ):
        super().__init__(backbone, num_classes, **options)
        if not 0 <= penalty < float("inf"):
            raise ValueError(f"penalty must be 0 or more, and finite; it is {penalty}")
        if penalty and self.k == len(backbone.stages):
            raise ValueError(
                f"k={self.k} freezes all stages, whose features no penalty moves: leave a stage to "
                "learn, or take `coral`, which aligns frozen features"
            )
        self.penalty = penalty

    def objective(self, fit: torch.Tensor, target: Seen, streams: Streams) -> torch.Tensor:
        loss = super().objective(fit, target, streams)
        if not self.penalty:
            return loss
        return loss + self.alignment(streams["source"].features, streams["unlabelled"].features)

    @abstractmethod
    def alignment(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The term, of two batches of features (n, d) and (m, d); `penalty` is in it."""
