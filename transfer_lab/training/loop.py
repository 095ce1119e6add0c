"""Several epochs in one call of Lightning: a step costs what it costs in a plain loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from lightning.pytorch.strategies import SingleDeviceStrategy


class Stretch(NamedTuple):
    """Training batches, and how many times in a row to go through them."""

    batches: Iterable
    epochs: int


class Stretches:
    """What a Trainer takes for its training loader: at each of its epochs the next stretch.

    Stretches are of equal length but for a shorter last one; validation comes after each.
    """

    def __init__(self, batches: Iterable, epochs: int, length: int):
        self.batches, self.left, self.length = batches, epochs, length
        self.count = -(-epochs // length)

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Stretch]:
        epochs = min(self.length, self.left)
        self.left -= epochs
        yield Stretch(self.batches, epochs)


class Epoch(NamedTuple):
    """One pass over the training images: what the regime summed up, steps and seconds so far."""

    sums: torch.Tensor
    steps: int
    seconds: float


class StretchStrategy(SingleDeviceStrategy):
    """Takes all steps of a stretch where Lightning thinks of one batch.

    Lightning's own loop costs about a millisecond a step and more an epoch, as much as a step of a
    head on stored activations. Each step is as Lightning's: the precision's context entered anew,
    since casts kept from an earlier step would be stale, then backward, optimiser, schedule.
    The module must have `automatic_optimization` off.
    """

    def __init__(self, device: torch.device, read_clock: Callable[[], float]):
        super().__init__(device)
        self.read_clock = read_clock
        self.steps = 0
        self._finished: list[Epoch] = []

    def training_step(self, stretch: Stretch, _: int) -> None:
        """Take the stretch's steps; the module's `training_step` sees the batches."""
        module, (optimizer,) = self.lightning_module, self.optimizers
        (schedule,) = (each.scheduler for each in module.trainer.lr_scheduler_configs)
        for _ in range(stretch.epochs):
            module.on_train_epoch_start()
            for index, batch in enumerate(stretch.batches):
                batch = self.batch_to_device(batch)
                optimizer.zero_grad()
                with self.precision_plugin.train_step_context():
                    loss = module.training_step(batch, index)
                loss.backward()
                optimizer.step()
                schedule.step()
                self.steps += 1
            self._finished.append(Epoch(module.train_sums, self.steps, self.read_clock()))

    def finished(self) -> list[Epoch]:
        """The epochs that have ended since this was last asked."""
        epochs, self._finished = self._finished, []
        return epochs
