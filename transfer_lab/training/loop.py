"""The two ways to train a phase: many steps in one call of Lightning, or Lightning's own loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

import lightning as L
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities import CombinedLoader

from transfer_lab.regimes.base import TransferModule
from transfer_lab.regimes.hooks import needs_lightnings_loop

if TYPE_CHECKING:
    from lightning.pytorch.loops.progress import _ReadyCompletedTracker

Note = Callable[[torch.Tensor | None, int], None]
"""Takes what a regime summed up over the epoch that has just ended, and the phase's steps."""


class Loop(Protocol):
    """One way to take the epochs of a phase; validation comes `between` epochs apart, and after
    the last one."""

    strategy: SingleDeviceStrategy
    callbacks: list[L.Callback]
    """To stand before the curve among a Trainer's callbacks."""

    def __init__(
        self, device: torch.device, batches: Iterable, epochs: int, between: int, note: Note
    ): ...

    def fit(self, trainer: L.Trainer, module: L.LightningModule, validation: Iterable) -> None:
        """Train with a Trainer of as many epochs, of this strategy and these callbacks."""


def loop_of(regime: TransferModule) -> type[Loop]:
    """The fast loop where it does all that Lightning would do for this regime, or Lightning's."""
    return LightningLoop if needs_lightnings_loop(regime) else ChunkedLoop


class LightningLoop:
    """Lightning's own loop, batch by batch: every hook is called as Lightning calls it."""

    def __init__(
        self, device: torch.device, batches: Iterable, epochs: int, between: int, note: Note
    ):
        self.strategy = SingleDeviceStrategy(device)
        self.callbacks: list[L.Callback] = [EachEpoch(epochs, between, note)]
        self._batches = batches

    def fit(self, trainer: L.Trainer, module: L.LightningModule, validation: Iterable) -> None:
        """Train, with the optimisation that the module asks for."""
        trainer.fit(module, self._batches, validation)


class EachEpoch(L.Callback):
    """Notes each epoch of Lightning's own loop, and says after which of them validation comes."""

    def __init__(self, epochs: int, between: int, note: Note):
        self.epochs, self.between, self.note = epochs, between, note
        self.steps = 0
        self._validated = False

    def on_train_epoch_start(self, trainer: L.Trainer, module: TransferModule) -> None:
        TransferModule.on_train_epoch_start(module)  # the regime's own hook may leave it out
        whole = trainer.current_epoch // self.between + 1
        trainer.check_val_every_n_epoch = min(whole * self.between, self.epochs)
        self._validated = False

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        self.steps += 1

    def on_validation_end(self, trainer: L.Trainer, module: TransferModule) -> None:
        self._validated = True

    def on_train_epoch_end(self, trainer: L.Trainer, module: TransferModule) -> None:
        self.note(module.train_sums, self.steps)
        due = trainer.current_epoch + 1 == trainer.check_val_every_n_epoch
        if (due or trainer.should_stop) and not self._validated:
            _validate(trainer)


def _validate(trainer: L.Trainer) -> None:
    """As Lightning does, which leaves it out where `on_train_batch_start` has ended the epoch, or
    a step the fit before validation was due."""
    trainer.validating = True
    trainer.fit_loop.epoch_loop.val_loop.run()
    trainer.training = True


class ChunkedLoop:
    """Several epochs in one call of Lightning: a step costs what it costs in a plain loop.

    Of the hooks in `IN_EVERY_STEP` it calls none but `on_train_epoch_start`; those in
    `BEFORE_THE_FIRST_STEP`, which could ask of the Trainer what this loop does not do, are
    `TransferModule`'s; of all others each is called as Lightning calls it. It takes the one
    optimiser and the one schedule that `TransferModule.configure_optimizers` gives, and heeds
    `trainer.should_stop` after each step.
    """

    def __init__(
        self, device: torch.device, batches: Iterable, epochs: int, between: int, note: Note
    ):
        self.strategy = ChunkedStrategy(device, note)
        self.callbacks: list[L.Callback] = []
        self._stretches = ChunkedLoader(EpochChunks(batches, epochs, between))

    def fit(self, trainer: L.Trainer, module: L.LightningModule, validation: Iterable) -> None:
        """Train; meanwhile Lightning takes the optimisation for the module's own."""
        automatic, module.automatic_optimization = module.automatic_optimization, False
        try:
            trainer.fit(module, self._stretches, validation)
        finally:
            module.automatic_optimization = automatic


class EpochChunk(NamedTuple):
    """Training batches, and how many times in a row to go through them."""

    batches: Iterable
    epochs: int


class EpochChunks:
    """What a Trainer takes for its training loader: the next stretch whenever it begins an epoch.

    EpochChunks are of equal length but for a shorter last one; validation comes after each.
    """

    def __init__(self, batches: Iterable, epochs: int, length: int):
        self.batches, self.left, self.length = batches, epochs, length

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[EpochChunk]:
        epochs = min(self.length, self.left)
        self.left -= epochs
        yield EpochChunk(self.batches, epochs)


class ChunkedLoader(CombinedLoader):
    """Chunks for Lightning's loop alone: who asks the Trainer for its `train_dataloader` gets the
    loader that they are made of, as from any Trainer, and spends none of them."""

    def __init__(self, chunks: EpochChunks):
        super().__init__(chunks, "max_size_cycle")
        self._chunks = chunks

    @property
    def iterables(self) -> Iterable:
        return self._chunks.batches


class ChunkedStrategy(SingleDeviceStrategy):
    """Takes all steps of a stretch where Lightning thinks of one batch.

    Lightning's own loop costs about a millisecond a step and more an epoch, as much as a step of a
    head on stored activations. Each step is as Lightning's: the precision's context entered anew,
    since casts kept from an earlier step would be stale, then backward, optimiser, schedule; and
    the Trainer's counters of batches, steps and epochs go on as if it had taken them itself.
    The module must have `automatic_optimization` off.
    """

    def __init__(self, device: torch.device, note: Note):
        super().__init__(device)
        self.note = note

    def training_step(self, stretch: EpochChunk, _: int) -> None:
        """Take the stretch's steps; the module's `training_step` sees the batches."""
        module, (optimizer,) = self.lightning_module, self.optimizers
        trainer = module.trainer
        (schedule,) = (each.scheduler for each in trainer.lr_scheduler_configs)
        steps, logged = _step_counter(trainer), trainer._results
        progress, last = trainer.fit_loop.epoch_loop.batch_progress, len(stretch.batches) - 1
        for _ in _counted(trainer, stretch.epochs):
            module.on_train_epoch_start()
            for index, batch in enumerate(stretch.batches):
                batch = self.batch_to_device(batch)
                progress.is_last_batch = index == last
                logged.batch, logged.batch_size = batch, None  # `log` weighs by its size
                optimizer.zero_grad()
                with self.precision_plugin.train_step_context():
                    loss = module.training_step(batch, index)
                if loss.__class__ is not torch.Tensor:
                    loss = _loss(loss)
                if loss is not None:
                    loss.backward()
                optimizer.step()
                schedule.step()
                steps.completed += 1
                if trainer.should_stop:
                    break
            self.note(module.train_sums, steps.completed)
            if trainer.should_stop:
                break
        _check_asked(trainer)


def _step_counter(trainer: L.Trainer) -> _ReadyCompletedTracker:
    """Its `completed` is the Trainer's `global_step`."""
    return trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.total


def _counted(trainer: L.Trainer, epochs: int) -> Iterator[int]:
    """The numbers of the next epochs; each is the Trainer's `current_epoch` while it lasts, and
    Lightning takes the one batch that it has seen for the epoch's last."""
    batches, counter = trainer.fit_loop.epoch_loop.batch_progress, trainer.fit_loop.epoch_progress
    batches.current.ready = trainer.num_training_batches
    first = trainer.current_epoch
    for epoch in range(first, first + epochs):
        counter.current.processed = epoch  # type: ignore[attr-defined]
        counter.current.completed = epoch
        yield epoch


def _check_asked(trainer: L.Trainer) -> None:
    """Raise ValueError where a Trainer has been asked, in a fit, for what is only done where it is
    asked for before."""
    asked = {
        "gradient_clip_val": trainer.gradient_clip_val is not None,
        "accumulate_grad_batches": trainer.accumulate_grad_batches != 1,
    }
    for name in (name for name, is_set in asked.items() if is_set):
        raise ValueError(
            f"{type(trainer.lightning_module).__name__} sets trainer.{name} when steps have been "
            "taken without it: set it in on_train_start"
        )


def _loss(output: object) -> torch.Tensor | None:
    """The loss of what a `training_step` returned; None where the batch is to be passed over."""
    found = output.get("loss") if isinstance(output, Mapping) else output
    if isinstance(found, torch.Tensor) or output is None:
        return found
    raise TypeError(
        "training_step must return a loss, a dict with one under 'loss', or None, but returned "
        f"{type(output).__name__}"
    )
