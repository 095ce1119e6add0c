"""Train a linear head on frozen source features."""

from __future__ import annotations

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase, TransferModule
from transfer_lab.regimes.recipes import RecipeName


class LinearProbe(TransferModule):
    """All stages come from the source and stay frozen; the head learns."""

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        lr: float = 1e-2,
        weight_decay: float = 1e-4,
        recipe: RecipeName = "adamw_cosine",
    ):
        super().__init__(backbone, num_classes, lr=lr, weight_decay=weight_decay, recipe=recipe)

    def phases(self) -> tuple[Phase, ...]:
        every_stage = tuple(range(len(self.backbone.stages)))
        return (Phase(frozen=every_stage, lr=self.lr, backbone_lr=self.lr),)
