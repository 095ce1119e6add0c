"""Let one more stage learn at a time, from the head down."""

from __future__ import annotations

from dataclasses import replace

from transfer_lab.regimes.base import Phase
from transfer_lab.regimes.full_finetune import FullFinetune


class GradualUnfreezing(FullFinetune):
    """First the head alone, then the last stage too, then the one before it, until all learn
    (Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", sec.
    3.3). The phases share the budget of the other regimes equally, an epoch each at least.
    """

    def phases(self) -> tuple[Phase, ...]:
        (full,) = super().phases()
        depth = len(self.backbone.stages)
        share = 1 / (depth + 1)
        return tuple(
            replace(full, frozen=tuple(range(count)), share=share) for count in range(depth, -1, -1)
        )
