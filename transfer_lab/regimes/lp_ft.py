"""Linear probe, then fine-tune (Kumar et al. 2022)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase, check_positive
from transfer_lab.regimes.full_finetune import FullFinetune


class LPFT(FullFinetune):
    """First the head alone on frozen features, then everything: the head no longer starts at
    random and does not distort the features (Kumar et al. 2022, "Fine-Tuning can Distort
    Pretrained Features"). Both phases together have the budget of the other regimes.

    Options: `probe_lr`: the head's peak rate while probing; `probe_share`: that phase's part of
    the epochs; `lr`, `backbone_lr`: peak rates of head and stages while fine-tuning.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        probe_lr: float = 1e-2,
        probe_share: float = 0.5,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        check_positive(probe_lr=probe_lr)
        if not 0 < probe_share < 1:
            raise ValueError(f"probe_share must lie between 0 and 1, but is {probe_share}")
        self.probe_lr, self.probe_share = probe_lr, probe_share

    def phases(self) -> tuple[Phase, ...]:
        every_stage = tuple(range(len(self.backbone.stages)))
        probe = Phase(every_stage, self.probe_lr, self.backbone_lr, share=self.probe_share)
        (full,) = super().phases()
        return (probe, replace(full, share=1 - self.probe_share))
