"""Fine-tune everything, held near where it started."""

from __future__ import annotations

from typing import Any

import torch

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase
from transfer_lab.regimes.full_finetune import FullFinetune


class L2SP(FullFinetune):
    """Full fine-tuning with a penalty on how far the stages move from the source's weights,
    alpha / p times the sum of |w - w0|^p (Li et al. 2018, "Explicit Inductive Bias for Transfer
    Learning with Convolutional Networks", eq. 2). The head has no start to stay near.

    Options: `alpha`: weight of the penalty, 0 to switch it off; `p`: 2 for L2-SP, 1 for L1-SP.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        alpha: float = 0.01,
        p: float = 2.0,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        if not 0 <= alpha < float("inf"):
            raise ValueError(f"alpha must be 0 or more, and finite; it is {alpha}")
        if not 1 <= p <= 2:
            raise ValueError(f"p must lie between 1 (L1-SP) and 2 (L2-SP); it is {p}")
        self.alpha, self.p = alpha, p

    def begin(self, phase: Phase, *, entry: int = 0, steps: float | None = None) -> None:
        """As for every regime; where the stages start is kept, before the first step."""
        super().begin(phase, entry=entry, steps=steps)
        for index, weight in enumerate(self.backbone.stages.parameters()):
            # A buffer, so that it goes where the weights go; in no file, since it is the source.
            self.register_buffer(f"start_{index}", weight.detach().clone(), persistent=False)

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        fit = super().loss(logits, labels)
        return fit + self.alpha / self.p * self.moved() if self.alpha else fit

    def moved(self) -> torch.Tensor:
        """The sum of |w - w0|^p over all weights of the stages; a scalar."""
        pairs = enumerate(self.backbone.stages.parameters())
        return sum(
            (weight - self.get_buffer(f"start_{index}")).abs().pow(self.p).sum()
            for index, weight in pairs
        )
