"""Heads on the same frozen features, trained in one pass over the batches."""

from __future__ import annotations

from collections.abc import Sequence

import lightning as L
import torch
from torch import nn

from transfer_lab.regimes.base import TransferModule
from transfer_lab.regimes.recipes import RECIPES
from transfer_lab.stretches import Epoch
from transfer_lab.timing import Curve, FitClock, NonFiniteLossError


def differ_in_rate_alone(regimes: Sequence[TransferModule]) -> bool:
    """Whether training these together is exact: of each a linear head learns on all stages,
    frozen, and optimiser, schedule and decay are the same for all."""
    recipes = {(type(r), r.recipe, r.weight_decay, len(r.backbone.stages)) for r in regimes}
    return len(recipes) == 1 and all(_learns_linear_head_alone(r) for r in regimes)


def _learns_linear_head_alone(regime: TransferModule) -> bool:
    depth = len(regime.backbone.stages)
    return type(regime.head) is nn.Linear and [p.prefix for p in regime.phases()] == [depth]


class HeadsTogether(L.LightningModule):
    """Regimes that differ in their rates alone, as one module.

    Their losses are added up, so that no head's gradient holds anything of another's, and each has
    rates of its own in one optimiser: every head ends where it would have ended alone. They share
    the first one's backbone.
    """

    def __init__(self, members: Sequence[TransferModule]):
        super().__init__()
        for member in members[1:]:
            member.backbone = members[0].backbone
        self.members = nn.ModuleList(members)
        self.steps: int | None = None

    @property
    def train_sums(self) -> torch.Tensor:
        """What the members summed up over an epoch, a row each."""
        return torch.stack([member.train_sums for member in self.members])

    def configure_optimizers(self) -> dict[str, object]:
        first = self.members[0]
        groups = [group for member in self.members for group in member.parameter_groups()]
        optimizer, schedule = RECIPES[first.recipe](groups, first.weight_decay, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_train_epoch_start(self) -> None:
        for member in self.members:
            member.on_train_epoch_start()

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        return sum(member.training_step(batch, index) for member in self.members)

    def on_validation_epoch_start(self) -> None:
        for member in self.members:
            member.on_validation_epoch_start()

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> None:
        for member in self.members:
            member.validation_step(batch, index)


class Curves(L.Callback):
    """A curve for each member; one that diverges has no further rows and stops no other."""

    def __init__(self, clock: FitClock, members: Sequence[TransferModule]):
        self.members, self.each = members, tuple(Curve(clock) for _ in members)
        self._diverged: set[int] = set()

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        for curve in self.each:
            curve.on_train_start(trainer, module)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        epochs = trainer.strategy.finished()
        for place, (curve, member) in enumerate(zip(self.each, self.members, strict=True)):
            if place not in self._diverged:
                self._follow(place, epochs)
            if place in self._diverged:
                curve.last.update(val_loss=None, val_accuracy=None)
            else:
                curve.add_validation(member)

    def _follow(self, place: int, epochs: Sequence[Epoch]) -> None:
        try:
            for epoch in epochs:
                self.each[place].add(epoch._replace(sums=epoch.sums[place]))
        except NonFiniteLossError:
            self._diverged.add(place)
