"""Fine-tuning that goes on answering the source's question as the source's model does."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import check_positive
from transfer_lab.regimes.objective import ObjectiveModule, Seen, Streams


class LwF(ObjectiveModule):
    """Learning without forgetting: beside a new head the source's stays, and goes on answering the
    target's images as the source's model did before training: L_new + weight KL(softmax(z_old / T)
    || softmax(z / T)), z the logits of the source's head as it is now, z_old as it was (Li and
    Hoiem 2016, "Learning without Forgetting", eq. 2 and fig. 3, whose cross-entropy differs from
    the divergence by a constant). No source image is seen. The paper's warm-up of the new head is
    left out.

    Options: `weight`: 0 to switch it off; `temperature`: T; `k`: number of leading stages that stay
    frozen, or `all`; `backbone_lr`: peak rate of the others.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        weight: float = 1.0,
        temperature: float = 2.0,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        check_positive(temperature=temperature)
        if not 0 <= weight < float("inf"):
            raise ValueError(f"weight must be 0 or more, and finite; it is {weight}")
        self.weight, self.temperature = weight, temperature
        # Not modules of this one: they are no part of what is trained, counted or stored.
        self._before: tuple[Backbone, nn.Linear] | None = None

    def start_head(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Keep the head of the source's model beside the new one; weight (classes, features), bias
        (classes), of any number of classes."""
        if weight.shape[1] != self.backbone.num_features:
            raise ValueError(
                f"the source's head is for {weight.shape[1]} features, but the backbone has "
                f"{self.backbone.num_features}"
            )
        self.source_head = nn.Linear(weight.shape[1], len(weight), device=weight.device)
        with torch.no_grad():
            self.source_head.weight.copy_(weight)
            self.source_head.bias.copy_(bias)

    def meet(self, classes: Mapping[str, int]) -> None:
        """Keep the source's model as it is before the first step."""
        if self.weight:
            kept = copy.deepcopy((self.backbone, self.source_head))
            self._before = tuple(module.eval().requires_grad_(False) for module in kept)

    def objective(self, fit: torch.Tensor, target: Seen, streams: Streams) -> torch.Tensor:
        if not self.weight:
            return fit
        now = self.source_head(target.features)
        return fit + self.weight * self.forgetting(self.answers(target.inputs), now)

    def answers(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes of the source) of the source's model for what enters the network."""
        backbone, head = (module.to(inputs.device) for module in self._before)
        with torch.no_grad():
            return head(backbone(inputs, start=self.entry))

    def forgetting(self, before: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
        """KL of the softened answers, a batch's mean; both (n, classes of the source)."""
        soft = (F.log_softmax(logits / self.temperature, dim=1) for logits in (now, before))
        return F.kl_div(*soft, reduction="batchmean", log_target=True)
