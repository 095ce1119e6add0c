"""Pretraining without labels: a task that images set themselves, for source runs alone."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase, TransferModule


class PretextModule(TransferModule):
    """Everything starts at random and learns by a task of the images' own; no label is read. The
    head for classes is there, at random, and learns nothing: what counts are the stages.

    A subclass makes what its task needs in `meet` and says the task's loss in `task`.
    """

    def __init__(self, backbone: Backbone, num_classes: int, **options: Any):
        super().__init__(backbone, num_classes, **options)

    @property
    def transferred(self) -> int:
        return 0

    def phases(self) -> tuple[Phase, ...]:
        return (Phase(frozen=(), lr=self.lr, backbone_lr=self.lr),)

    def begin(self, phase: Phase, *, entry: int = 0, steps: float | None = None) -> None:
        """As for every regime, but for the head, which stays as it is."""
        super().begin(phase, entry=entry, steps=steps)
        self.head.requires_grad_(False)

    @abstractmethod
    def task(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean loss of the task on uint8 images (n, 3, size, size), and the share of answers
        that are right; 0 where the task has none."""

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        loss, right = self.task(batch[0])
        self.train_sums += _sums(loss, right, len(batch[0]))
        return loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        loss, right = self.task(batch[0])
        self.val_sums += _sums(loss, right, len(batch[0]))


def _sums(loss: torch.Tensor, right: torch.Tensor, count: int) -> torch.Tensor:
    counted = torch.full_like(loss.detach().float(), count)
    return torch.stack([loss.detach().float() * count, right.float() * count, counted])
