"""Control: always answer the most frequent class."""

from __future__ import annotations

import torch

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase, TransferModule


class Majority(TransferModule):
    """Predicts the training labels' class frequencies for every image and learns nothing else.

    It has no parameters; the backbone it is given is dropped.
    """

    def __init__(self, backbone: Backbone, num_classes: int):
        super().__init__(backbone, num_classes)
        self.backbone = self.head = None
        self.register_buffer("log_frequencies", torch.zeros(num_classes))

    @property
    def transferred(self) -> int:
        return 0

    def phases(self) -> tuple[Phase, ...]:
        return ()

    def observe(self, labels: torch.Tensor) -> None:
        """Count the classes."""
        counts = torch.bincount(labels, minlength=len(self.log_frequencies))
        self.log_frequencies = (counts / counts.sum()).clamp_min(1e-12).log()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.log_frequencies.expand(len(inputs), -1)
