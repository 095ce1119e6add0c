"""Fine-tuning whose loss changes little with the input."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import check_pixels
from transfer_lab.regimes.objective import ObjectiveModule, Seen, Streams


class GradientPenalty(ObjectiveModule):
    """Fine-tuning with a penalty on how much the loss L of an example x changes with it:
    L + gamma E |grad_x L|^2 (Drucker and LeCun 1992, "Improving Generalization Performance Using
    Double Backpropagation"). x are images as the network gets them, normalised, or, where leading
    stages are frozen, what those give. It is computed in fp32, and a step takes two to three times
    as long.

    Options: `gamma`: weight of the penalty, 0 to switch it off; `k`: number of leading stages that
    stay frozen, or `all`; `backbone_lr`: peak rate of the others.
    """

    def __init__(self, backbone: Backbone, num_classes: int, *, gamma: float = 0.1, **options: Any):
        super().__init__(backbone, num_classes, **options)
        check_pixels(backbone, "gradient_penalty", twice=True)
        if not 0 <= gamma < float("inf"):
            raise ValueError(f"gamma must be 0 or more, and finite; it is {gamma}")
        self.gamma = gamma

    def look(self, inputs: torch.Tensor, labels: torch.Tensor) -> Seen:
        """As ever, in fp32, and with what enters the first stage that learns as the inputs."""
        if not self.gamma:
            return super().look(inputs, labels)
        with torch.autocast(inputs.device.type, enabled=False):
            with torch.no_grad():
                entered = self.backbone(inputs, start=self.entry, stop=self.k)
            entered = entered.float().requires_grad_()
            features = self._rest(entered)
            return Seen(entered, labels, features, self.head(features))

    def objective(self, fit: torch.Tensor, target: Seen, streams: Streams) -> torch.Tensor:
        if not self.gamma:
            return fit
        with torch.autocast(target.inputs.device.type, enabled=False):
            return fit + self.gamma * self.steepness(target)

    def steepness(self, seen: Seen) -> torch.Tensor:
        """The mean over a batch of |grad_x L|^2, each of its example's own loss; a scalar."""
        losses = F.cross_entropy(seen.logits, seen.labels, ignore_index=-1, reduction="sum")
        (gradient,) = torch.autograd.grad(losses, seen.inputs, create_graph=True)
        return gradient.square().sum() / len(gradient)

    def _rest(self, entered: torch.Tensor) -> torch.Tensor:
        outputs = entered
        for stage in self.backbone.stages[self.k :]:
            outputs = stage(outputs)
        return outputs
