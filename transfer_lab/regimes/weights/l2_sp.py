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
    Learning with Convolutional Networks", eq. 2). The head has no start to stay near: it is held
    near 0 by half of beta times the sum of its squares.

    Options: `alpha`: weight of the penalty, 0 to switch it off; `p`: 2 for L2-SP, 1 for L1-SP;
    `beta`: weight of the head's, off unless given, since `weight_decay` pulls at it, too.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        alpha: float = 0.01,
        p: float = 2.0,
        beta: float = 0.0,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        for name, weight in {"alpha": alpha, "beta": beta}.items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"{name} must be 0 or more, and finite; it is {weight}")
        if not 1 <= p <= 2:
            raise ValueError(f"p must lie between 1 (L1-SP) and 2 (L2-SP); it is {p}")
        self.alpha, self.beta, self.p = alpha, beta, p

    def begin(self, phase: Phase, *, entry: int = 0, steps: float | None = None) -> None:
        """As for every regime; where the stages start is kept, before the first step."""
        super().begin(phase, entry=entry, steps=steps)
        for index, weight in enumerate(self.backbone.stages.parameters()):
            # A buffer, so that it goes where the weights go; in no file, since it is the source.
            self.register_buffer(f"start_{index}", weight.detach().clone(), persistent=False)

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        total = super().loss(logits, labels)
        if self.alpha:
            total = total + self.alpha / self.p * self.moved()
        if self.beta:
            total = total + self.beta / 2 * sum(w.square().sum() for w in self.head.parameters())
        return total

    def moved(self) -> torch.Tensor:
        """The sum of |w - w0|^p over all weights of the stages; a scalar."""
        pairs = enumerate(self.backbone.stages.parameters())
        return sum(
            (weight - self.get_buffer(f"start_{index}")).abs().pow(self.p).sum()
            for index, weight in pairs
        )
