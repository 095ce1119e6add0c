"""Training until validation no longer gets better: when that is, and which model is kept."""

from __future__ import annotations

import math

import lightning as L
import torch

from transfer_lab.regimes.base import TransferModule
from transfer_lab.training.curve import NonFiniteLossError, means


class EarlyStopping(L.Callback):
    """Ends a phase once validation has not been better for `patience` times in a row, and keeps
    the state of the best one.

    Better is a higher accuracy, or the same and a lower loss: as trials of options are chosen. By
    loss alone few images end a fit at once: confident errors raise it while accuracy still rises.

    It must stand before the clock among a Trainer's callbacks, so that what it copies is copied
    while the clock still pauses for validation.
    """

    def __init__(self, patience: int):
        self.patience, self.seen = patience, 0
        self.best: int | None = None
        """Which validation was the best, from 0; the first of equals."""
        self._score = (-math.inf, -math.inf)
        self._state: dict[str, torch.Tensor] = {}

    @property
    def reached(self) -> bool:
        """Whether the patience is used up."""
        since = self.seen if self.best is None else self.seen - 1 - self.best
        return since >= self.patience

    def on_validation_end(self, trainer: L.Trainer, module: TransferModule) -> None:
        loss, accuracy = means(module.val_sums)
        if loss is None or accuracy is None:
            raise ValueError(
                f"patience watches what {type(module).__name__}.validation_step adds to val_sums, "
                "which is nothing: call super().validation_step(batch, index) in it, or leave "
                "patience out"
            )
        score = (accuracy, -loss)
        if math.isfinite(loss) and score > self._score:
            self._score, self.best, self._state = score, self.seen, _learning(module)
        self.seen += 1
        if self.reached:
            trainer.should_stop = True

    def restore(self, module: TransferModule) -> None:
        """Give the module the state that was kept, and keep it no longer; raises
        NonFiniteLossError if none was, since no validation loss was finite."""
        if self.best is None:
            raise NonFiniteLossError(f"no validation loss was finite, {self.seen} times in a row")
        module.load_state_dict(self._state, strict=False)
        self._state = {}


def _learning(module: TransferModule) -> dict[str, torch.Tensor]:
    """A copy of all that a step may change, buffers included; what is frozen cannot."""
    frozen = tuple(f"backbone.stages.{index}." for index in module.phase.frozen)
    state = module.state_dict()
    return {name: value.clone() for name, value in state.items() if not name.startswith(frozen)}
