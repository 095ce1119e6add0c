"""Fine-tune everything, and shrink the features that carry least."""

from __future__ import annotations

from typing import Any

import torch

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.objective import ObjectiveModule, Seen, Streams


class BatchSpectralShrinkage(ObjectiveModule):
    """Full fine-tuning with a penalty on the smallest singular values of each batch's features,
    penalty times the sum of sigma_i^2 over the `smallest` ones (Chen et al. 2019, "Catastrophic
    Forgetting Meets Negative Transfer: Batch Spectral Shrinkage for Safe Transfer Learning", eq.
    4): directions that carry little are those that transfer worst.

    Options: `penalty`: weight of that sum, 0 to switch it off; `smallest`: how many of them.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        penalty: float = 0.001,
        smallest: int = 1,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        if not 0 <= penalty < float("inf") or smallest < 1:
            raise ValueError(f"penalty={penalty}, smallest={smallest}: 0 and 1 at the least")
        self.penalty, self.smallest = penalty, smallest

    def objective(self, fit: torch.Tensor, target: Seen, streams: Streams) -> torch.Tensor:
        if not self.penalty:
            return fit
        values = torch.linalg.svdvals(target.features.float())
        return fit + self.penalty * values[-self.smallest :].square().sum()
