"""Train a linear head on frozen source features."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase, TransferModule


class LinearProbe(TransferModule):
    """The stages come from the source and stay frozen; a linear head on their output learns.

    Options: `stage`: number of stages that are used; the output of the last of them is averaged
    over its positions. All of them and their features unless given.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        stage: int | None = None,
        lr: float = 1e-2,
        **options: Any,
    ):
        if stage is not None:
            _shorten(backbone, stage)
        super().__init__(backbone, num_classes, lr=lr, **options)
        self.stage = stage

    @property
    def transferred(self) -> int:
        return self.stage or super().transferred

    def phases(self) -> tuple[Phase, ...]:
        every_stage = tuple(range(len(self.backbone.stages)))
        return (Phase(frozen=every_stage, lr=self.lr, backbone_lr=self.lr),)


class _Averaged(nn.Module):
    """One vector an image: maps and tokens averaged over their positions."""

    def forward(self, outputs: Tensor) -> Tensor:
        if outputs.dim() == 4:
            return outputs.mean((2, 3))
        return outputs.mean(1) if outputs.dim() == 3 else outputs


def _shorten(backbone: Backbone, count: int) -> None:
    """Leave the first stages and an average over positions; raises ValueError if they are not
    there."""
    depth = len(backbone.stages)
    if not 1 <= count <= depth:
        raise ValueError(
            f"stage={count}, but this backbone has {depth}: stage must be 1 to {depth}"
        )
    backbone.stages = nn.ModuleList([*backbone.stages[:count], _Averaged()])
    (backbone.num_features,) = backbone.output_shape(backbone.image_size)
