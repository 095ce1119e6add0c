"""Training until the validation loss no longer falls: when that is, and which model is kept."""

from __future__ import annotations

import math

import lightning as L
import torch

from transfer_lab.regimes.base import TransferModule
from transfer_lab.timing import means


class Convergence(L.Callback):
    """Ends a phase once the validation loss has not fallen for `patience` validations in a row,
    and keeps the state of the lowest one.

    It must stand before the clock among a Trainer's callbacks, so that what it copies is copied
    while the clock still pauses for validation.
    """

    def __init__(self, patience: int):
        self.patience, self.seen = patience, 0
        self.best: int | None = None
        """Which validation was the lowest, from 0; the first of equals."""
        self._lowest = math.inf
        self._state: dict[str, torch.Tensor] = {}

    @property
    def reached(self) -> bool:
        """Whether the patience is used up."""
        since = self.seen if self.best is None else self.seen - 1 - self.best
        return since >= self.patience

    def on_validation_end(self, trainer: L.Trainer, module: TransferModule) -> None:
        loss, _ = means(module.val_sums)
        if loss < self._lowest:  # a NaN is not
            self._lowest, self.best, self._state = loss, self.seen, _learning(module)
        self.seen += 1
        if self.reached:
            trainer.should_stop = True

    def restore(self, module: TransferModule) -> None:
        """Give the module the state that was kept; none was if no loss was a number."""
        module.load_state_dict(self._state, strict=False)


def _learning(module: TransferModule) -> dict[str, torch.Tensor]:
    """A copy of all that a step may change, buffers included; what is frozen cannot."""
    frozen = tuple(f"backbone.stages.{index}." for index in module.phase.frozen)
    state = module.state_dict()
    return {name: value.clone() for name, value in state.items() if not name.startswith(frozen)}
