"""Fine-tune everything, the first stages at the lowest rates."""

from __future__ import annotations

from typing import Any

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.full_finetune import FullFinetune


class DiscriminativeFinetune(FullFinetune):
    """Full fine-tuning in which each stage learns at a fraction of the rate of the stage above it
    (Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", sec.
    3.2: 1 / 2.6): what is general moves least.

    Options: `rate_decay`: that fraction, 1 for equal rates; `backbone_lr`: peak rate of the last
    stage.
    """

    def __init__(
        self, backbone: Backbone, num_classes: int, *, rate_decay: float = 0.4, **options: Any
    ):
        super().__init__(backbone, num_classes, **options)
        if not 0 < rate_decay <= 1:
            raise ValueError(f"rate_decay must lie above 0 and be 1 at most, but is {rate_decay}")
        self.rate_decay = rate_decay

    def parameter_groups(self) -> list[dict[str, object]]:
        """The head, and each stage at its own peak rate."""
        head, *_ = super().parameter_groups()
        below = enumerate(reversed(self.backbone.stages))
        stages = [
            {"params": parameters, "lr": self.phase.backbone_lr * self.rate_decay**depth}
            for depth, stage in below
            if (parameters := list(stage.parameters()))
        ]
        return [head, *stages]
