"""Take the first stages from the source, and let everything learn."""

from __future__ import annotations

from typing import Any

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.full_finetune import FullFinetune


class PartialTransfer(FullFinetune):
    """The first k stages start from the source, the others at random, and all of them learn: AnB+
    of Yosinski et al. 2014 ("How transferable are features in deep neural networks?"), whose AnB
    is `partial_finetune` with `reinit`.

    Options: `k`: number of stages that are transferred.
    """

    def __init__(self, backbone: Backbone, num_classes: int, *, k: int, **options: Any):
        super().__init__(backbone, num_classes, **options)
        depth = len(backbone.stages)
        if not 0 <= k <= depth:
            raise ValueError(f"k={k}, but this backbone has {depth} stages: k must be 0 to {depth}")
        self.k = k

    @property
    def transferred(self) -> int:
        return self.k
