"""Take any stages from the source, and let everything learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.full_finetune import FullFinetune
from transfer_lab.regimes.parts import indices_of


class ComponentTransfer(FullFinetune):
    """The chosen stages start from the source, wherever they stand, the others at random, and all
    of them learn: `partial_transfer` has the first k. Which part of a network carries what is
    transferred is seen where one of them alone is.

    Options: `stages`: the numbers of those that are transferred, counted from 1 at the input.
    """

    def __init__(
        self, backbone: Backbone, num_classes: int, *, stages: Sequence[int] = (1,), **options: Any
    ):
        super().__init__(backbone, num_classes, **options)
        self._chosen = indices_of(backbone, stages)

    @property
    def transferred(self) -> int:
        count = 0
        while count in self._chosen:
            count += 1
        return count

    @property
    def transferred_stages(self) -> tuple[int, ...]:
        return self._chosen
