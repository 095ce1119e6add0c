"""Continue training everything from the source's weights."""

from __future__ import annotations

from typing import Any, Literal

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase, TransferModule, check_positive


class FullFinetune(TransferModule):
    """All stages come from the source and learn, at a lower rate than the new head.

    Options: `lr`: peak rate of the head; `backbone_lr`: peak rate of the stages; `statistics`:
    `moving`, where normalisation layers go by the batches that they see and their running
    statistics follow, or `fixed`, where they go by the source's, which a handful of images would
    only blur.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        backbone_lr: float = 3e-4,
        statistics: Literal["moving", "fixed"] = "moving",
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        check_positive(backbone_lr=backbone_lr)
        self.backbone_lr, self.statistics = backbone_lr, statistics

    def phases(self) -> tuple[Phase, ...]:
        return (
            Phase(
                frozen=(),
                lr=self.lr,
                backbone_lr=self.backbone_lr,
                statistics=self.statistics == "moving",
            ),
        )
