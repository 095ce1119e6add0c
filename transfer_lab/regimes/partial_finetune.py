"""Freeze the first k stages and fine-tune the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase
from transfer_lab.regimes.full_finetune import FullFinetune


class PartialFinetune(FullFinetune):
    """The first k stages come from the source and stay frozen; the others and the head learn.

    Options: `k`: number of frozen stages; `reinit`: whether the learning stages start at random
    instead of from the source (AnB of Yosinski et al. 2014; AnB+ is `partial_transfer`); `lr`: peak
    rate of the head; `backbone_lr`: peak rate of the learning stages.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        k: int,
        reinit: bool = False,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        depth = len(backbone.stages)
        if not 0 <= k <= depth:
            raise ValueError(f"k={k}, but this backbone has {depth} stages: k must be 0 to {depth}")
        self.k, self.reinit = k, reinit

    @property
    def transferred(self) -> int:
        return self.k if self.reinit else super().transferred

    def phases(self) -> tuple[Phase, ...]:
        (full,) = super().phases()
        return (replace(full, frozen=tuple(range(self.k))),)
