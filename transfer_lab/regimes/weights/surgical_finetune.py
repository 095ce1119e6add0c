"""Fine-tune chosen stages, and keep the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase
from transfer_lab.regimes.full_finetune import FullFinetune
from transfer_lab.regimes.parts import indices_of


class SurgicalFinetune(FullFinetune):
    """Only the chosen stages and the head learn; the others stay as the source left them (Lee et
    al. 2023, "Surgical Fine-Tuning Improves Adaptation to Distribution Shifts": the first ones
    where inputs have shifted, the last ones where labels have).

    Options: `stages`: the numbers of those that learn, counted from 1 at the input.
    """

    def __init__(
        self, backbone: Backbone, num_classes: int, *, stages: Sequence[int] = (1,), **options: Any
    ):
        super().__init__(backbone, num_classes, **options)
        self.stages = tuple(index + 1 for index in indices_of(backbone, stages))

    def phases(self) -> tuple[Phase, ...]:
        (full,) = super().phases()
        depth = range(len(self.backbone.stages))
        kept = tuple(index for index in depth if index + 1 not in self.stages)
        return (replace(full, frozen=kept),)
