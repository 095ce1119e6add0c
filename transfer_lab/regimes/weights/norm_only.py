"""Fine-tune the normalisation layers, and keep all other weights."""

from __future__ import annotations

from typing import Any

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase, TransferModule, UnsuitableBackboneError, check_positive
from transfer_lab.regimes.parts import learning_in


class NormOnly(TransferModule):
    """Of the stages, which come from the source, only scale and shift of the normalisation layers
    learn, gamma and beta of gamma (x - mean) / deviation + beta (Frankle et al. 2021, "Training
    BatchNorm and Only BatchNorm", who train them in random networks); the head learns, too. A
    backbone without such layers is refused.

    Options: `k`: number of leading stages that stay frozen; `statistics`: whether the other stages
    take the target's batches for their running statistics, instead of keeping the source's;
    `backbone_lr`: peak rate of gamma and beta.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        k: int = 0,
        statistics: bool = True,
        lr: float = 1e-2,
        backbone_lr: float = 1e-3,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, lr=lr, **options)
        check_positive(backbone_lr=backbone_lr)
        self.statistics, self.backbone_lr = statistics, backbone_lr
        depth = len(backbone.stages)
        if not 0 <= k < depth:
            raise ValueError(
                f"k={k}, but this backbone has {depth} stages: k must be 0 to {depth - 1}"
            )
        learns = [index >= k and _has_norm(stage) for index, stage in enumerate(backbone.stages)]
        if not any(learns):
            after = f" after stage {k}" if k else ""
            raise UnsuitableBackboneError("norm_only", f"no normalisation layers{after}")
        self._frozen = tuple(index for index in range(depth) if not learns[index])

    def phases(self) -> tuple[Phase, ...]:
        return (
            Phase(
                frozen=self._frozen,
                lr=self.lr,
                backbone_lr=self.backbone_lr,
                learns="norm",
                statistics=self.statistics,
            ),
        )


def _has_norm(stage: Any) -> bool:
    return any(True for _ in learning_in(stage, "norm"))
