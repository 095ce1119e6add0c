"""Learn from the source's examples as if they were more of the target's."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.objective import ObjectiveModule, Seen, Streams


class JointTraining(ObjectiveModule):
    """Fine-tuning of one network and one head on the labelled images of source and target:
    weight L_source + (1 - weight) L_target. Where the target has no labels the loss is the
    source's alone: what methods of adaptation are measured against. Batch normalisation has the
    target's statistics even then, since those of the source leave no trace: in such networks this
    is training on the source and AdaBN in one.

    Options: `weight`: the source's part, 0 to switch it off where the target has labels; `k`,
    `backbone_lr`: as `multi_task` has them.
    """

    def __init__(
        self, backbone: Backbone, num_classes: int, *, weight: float = 0.5, **options: Any
    ):
        super().__init__(backbone, num_classes, **options)
        if not 0 <= weight <= 1:
            raise ValueError(f"weight must lie between 0 and 1, but is {weight}")
        self.weight = weight

    def objective(self, fit: torch.Tensor, target: Seen, streams: Streams) -> torch.Tensor:
        labelled = bool((target.labels >= 0).any())
        if labelled and not self.weight:
            return fit
        on_source = self.source_loss(streams["source"])
        return self.weight * on_source + (1 - self.weight) * fit if labelled else on_source

    def source_loss(self, source: Seen) -> torch.Tensor:
        """The mean loss over a batch of the source."""
        return F.cross_entropy(source.logits, source.labels)
