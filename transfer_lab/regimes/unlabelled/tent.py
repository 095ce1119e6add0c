"""Make a source's model sure of its answers to the target's images by its normalisation alone."""

from __future__ import annotations

import torch

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase, UnsuitableBackboneError
from transfer_lab.regimes.batch_norm import batch_norms, stages_without
from transfer_lab.regimes.objective import ObjectiveModule, Seen, Streams
from transfer_lab.regimes.optim import RecipeName
from transfer_lab.regimes.unlabelled.shot import entropy


class Tent(ObjectiveModule):
    """The mean entropy of the answers is made small by the scales and shifts of batch normalisation
    and nothing else: E[H(p)] (Wang et al. 2021, "Tent: Fully Test-Time Adaptation by Entropy
    Minimization", eq. 1), on the target's training images and not on those of the test. In steps
    each batch is normalised by its own statistics; the test goes by running ones, which the steps
    have moved from the source's to the target's. Stages without such layers stay frozen.

    Options: `backbone_lr`: peak rate of scales and shifts.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        backbone_lr: float = 1e-3,
        weight_decay: float | None = None,
        recipe: RecipeName = "adamw_cosine",
    ):
        super().__init__(
            backbone,
            num_classes,
            backbone_lr=backbone_lr,
            weight_decay=weight_decay,
            recipe=recipe,
        )
        self._without = stages_without(backbone, "Tent")
        if any(layer.weight is None for layer in batch_norms(backbone.stages)):
            raise UnsuitableBackboneError("Tent", "batch normalisation without scales and shifts")

    def phases(self) -> tuple[Phase, ...]:
        return (Phase(frozen=self._without, lr=self.lr, backbone_lr=self.backbone_lr),)

    def begin(self, phase: Phase, *, entry: int = 0, steps: float | None = None) -> None:
        """As for every regime, but that scales and shifts alone learn."""
        super().begin(phase, entry=entry, steps=steps)
        self.requires_grad_(False)
        for layer in batch_norms(self.backbone.stages):
            layer.requires_grad_(True)

    def objective(self, fit: torch.Tensor, target: Seen, streams: Streams) -> torch.Tensor:
        return entropy(target.logits).mean()
