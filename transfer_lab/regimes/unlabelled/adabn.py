"""Replace the source's batch-normalisation statistics by the target's."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase
from transfer_lab.regimes.batch_norm import batch_norms, stages_without
from transfer_lab.regimes.solved import Sample, SolvedModule

_BATCH = 256


class AdaBN(SolvedModule):
    """The source's model with mean and variance of each batch normalisation taken over the target's
    images (Li et al. 2016, "Revisiting Batch Normalization For Practical Domain Adaptation", alg.
    1); weights, scales and shifts are the source's.

    One pass over the images: a layer's statistics are means over batches of 256, drawn evenly from
    the whole set, each of which the layers before it have normalised by its own.
    """

    def __init__(self, backbone: Backbone, num_classes: int):
        super().__init__(backbone, num_classes)
        self._without = stages_without(backbone, "AdaBN")

    def phases(self) -> tuple[Phase, ...]:
        """Frozen are the stages before the first that has such a layer."""
        first = next(i for i in range(len(self.backbone.stages)) if i not in self._without)
        return (Phase(frozen=tuple(range(first)), lr=self.lr, backbone_lr=self.lr),)

    @torch.no_grad()
    def solve(self, target: Sample, validation: Sample, streams: Mapping[str, Sample]) -> None:
        """Take the statistics; all other layers are as in a test."""
        layers = batch_norms(self.backbone.stages)
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # a mean over all batches
            layer.train()
        count = -(-len(target) // _BATCH)
        for start in range(count):
            inputs = target.outputs[target.index[start::count]]
            self.backbone(torch.from_numpy(inputs), start=self.entry)
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()
