"""What "training time" means, and the curve of a run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import lightning as L
import torch

from transfer_lab.regimes.base import TransferModule
from transfer_lab.system import pulse
from transfer_lab.system.pulse import Line

Row = dict[str, float | int | None]
"""What a curve says of an epoch."""

_SHOWN = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
"""What of it is shown while a run is training."""


class Epoch(NamedTuple):
    """One pass over the training images: what the regime summed up, steps and seconds so far."""

    sums: torch.Tensor | None
    steps: int
    seconds: float


class NonFiniteLossError(ArithmeticError):
    """A loss became NaN or infinite, of training, validation or test."""


class FitClock(L.Callback):
    """Seconds of fitting: batches and optimiser steps, without validation, set-up and imports.

    The clock is monotonic; a GPU is waited for before it is read. One clock adds up all phases of
    a run.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter):
        self.now, self.seconds = now, 0.0
        self._on_gpu = torch.cuda.is_available()  # asking takes as long as a small step
        self._since: float | None = None

    def read(self) -> float:
        """Seconds so far, the running stretch included."""
        running = 0.0 if self._since is None else self._now() - self._since
        return self.seconds + running

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._since = self._now()

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._pause()

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._since = self._now()

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._pause()

    def _pause(self) -> None:
        self.seconds, self._since = self.read(), None

    def _now(self) -> float:
        if self._on_gpu:
            torch.cuda.synchronize()
        return self.now()


class Curve(L.Callback):
    """One row an epoch: losses and accuracies; epochs and steps count on over the phases.

    Validation stands in the row of the epoch after which it came. Raises NonFiniteLossError when
    Lightning next ends an epoch after one whose loss is not finite.
    """

    def __init__(self, clock: FitClock):
        self.clock = clock
        self.rows: list[Row] = []
        self._finished: list[Epoch] = []
        self._phase = self._steps = 0

    @property
    def last(self) -> Row:
        """The last epoch's row; empty if nothing was fitted."""
        return self.rows[-1] if self.rows else {}

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._phase += 1
        self._steps = self.last.get("steps", 0)

    def note(self, sums: torch.Tensor | None, steps: int) -> None:
        """An epoch has ended; what it summed up is looked at later, so that no GPU is waited for
        more often than the clock needs."""
        self._finished.append(Epoch(sums, steps, self.clock.read()))
        pulse.draw(self._so_far)

    def finished(self) -> list[Epoch]:
        """The epochs that have ended since this was last asked."""
        epochs, self._finished = self._finished, []
        return epochs

    def unread(self) -> torch.Tensor | None:
        """What was summed up over the epochs that have ended since, stacked; None where there is
        nothing."""
        known = [epoch.sums for epoch in self._finished if epoch.sums is not None]
        return torch.stack(known) if known else None

    def _so_far(self) -> list[Line]:
        return [line(self.rows, self.unread())]

    def solved(self, training: torch.Tensor, validation: torch.Tensor) -> None:
        """The one row of a regime that takes no steps: what it makes of the images, summed up;
        raises NonFiniteLossError as `add` does."""
        self._phase = 1
        self.add(Epoch(training, 0, self.clock.read()))
        self.last["val_loss"], self.last["val_accuracy"] = means(validation)

    def on_train_epoch_end(self, trainer: L.Trainer, module: TransferModule) -> None:
        for epoch in self.finished():
            self.add(epoch)
        self.add_validation(module)
        pulse.draw(self._so_far)

    def add_validation(self, module: TransferModule) -> None:
        """Put the validation that has just run into the last epoch's row."""
        self.last["val_loss"], self.last["val_accuracy"] = means(module.val_sums)
        module.val_sums = None

    def add(self, epoch: Epoch) -> None:
        """A row for an epoch; raises NonFiniteLossError if its loss is not finite."""
        loss, accuracy = means(epoch.sums)
        number = len(self.rows) + 1
        if loss is not None and not math.isfinite(loss):
            raise NonFiniteLossError(f"the training loss is {loss} in epoch {number}")
        self.rows.append(
            {
                "phase": self._phase,
                "epoch": number,
                "steps": self._steps + epoch.steps,
                "train_loss": loss,
                "train_accuracy": accuracy,
                "val_loss": None,
                "val_accuracy": None,
                "fit_seconds": epoch.seconds,
            }
        )


def line(rows: Sequence[Row], unread: torch.Tensor | None) -> Line:
    """The curve for whoever looks on: its rows by column, and behind them what was summed up over
    epochs that have no row yet."""
    found = {name: [row[name] for row in rows] for name in _SHOWN}
    for sums in () if unread is None else unread.cpu():  # one wait for a GPU, not one an epoch
        loss, accuracy = means(sums)
        shown = (len(found["epoch"]) + 1, loss, accuracy, None, None)
        for name, value in zip(_SHOWN, shown, strict=True):
            found[name].append(value)
    return found


def means(sums: torch.Tensor | None) -> tuple[float | None, float | None]:
    """Loss and accuracy of what a regime summed up; None where it has not, of any example."""
    loss, right, count = (0, 0, 0) if sums is None else sums.tolist()
    return (loss / count, right / count) if count else (None, None)
