"""What regimes share that keep the source's weights and learn a few of their own among them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import nn

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase, TransferModule, UnsuitableBackboneError, check_positive


class AddedModule(TransferModule):
    """The stages keep the source's weights and running statistics; the head learns, and what
    `add` puts into the stages from the k-th on.

    Options: `k`: number of leading stages that stay as they are; `backbone_lr`: peak rate of what
    is added.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        k: int = 0,
        lr: float = 1e-2,
        backbone_lr: float = 1e-3,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, lr=lr, **options)
        check_positive(backbone_lr=backbone_lr)
        self.k, self.backbone_lr = k, backbone_lr
        depth = len(backbone.stages)
        if not 0 <= k < depth:
            raise ValueError(
                f"k={k}, but this backbone has {depth} stages: k must be 0 to {depth - 1}"
            )
        taking = {i for i, stage in enumerate(backbone.stages) if i >= k and self.takes(stage)}
        if not taking:
            after = f" after stage {k}" if k else ""
            raise UnsuitableBackboneError(
                type(self).__name__, f"no layer that it could add to{after}"
            )
        self._frozen = tuple(index for index in range(depth) if index not in taking)

    def takes(self, stage: nn.Module) -> bool:
        """Whether something can be added to a stage."""
        return True

    @abstractmethod
    def add(self, index: int) -> None:
        """Add to the stage of that index, so that it gives the same as before."""

    def meet(self, classes: Mapping[str, int]) -> None:
        for index in range(len(self.backbone.stages)):
            if index not in self._frozen:
                self.add(index)

    def phases(self) -> tuple[Phase, ...]:
        return (
            Phase(
                frozen=self._frozen,
                lr=self.lr,
                backbone_lr=self.backbone_lr,
                learns="added",
                statistics=False,
            ),
        )
