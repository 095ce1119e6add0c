"""Learn source and target at the same time, each with a head of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.objective import ObjectiveModule, Seen, Streams


class MultiTask(ObjectiveModule):
    """Fine-tuning on source and target together: weight L_source + (1 - weight) L_target, over
    shared stages and a head for each (Caruana 1997, "Multitask Learning").

    Options: `weight`: the source's part of the loss, 0 to switch it off; `k`: number of leading
    stages that stay frozen, or `all`; `backbone_lr`: peak rate of the others.
    """

    def __init__(
        self, backbone: Backbone, num_classes: int, *, weight: float = 0.5, **options: Any
    ):
        super().__init__(backbone, num_classes, **options)
        if not 0 <= weight <= 1:
            raise ValueError(f"weight must lie between 0 and 1, but is {weight}")
        self.weight = weight

    def meet(self, classes: Mapping[str, int]) -> None:
        """Make the source's head."""
        self.source_head = nn.Linear(self.backbone.num_features, classes["source"])

    def objective(self, fit: torch.Tensor, target: Seen, streams: Streams) -> torch.Tensor:
        if not self.weight:
            return fit
        source = streams["source"]
        other = F.cross_entropy(self.source_head(source.features), source.labels)
        return self.weight * other + (1 - self.weight) * fit
