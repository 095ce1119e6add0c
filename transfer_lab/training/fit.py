"""One budget, spent in phases: regime and data go through `L.Trainer`, the test set comes last."""

from __future__ import annotations

import functools
import logging
import math
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import lightning as L
import torch
from lightning.fabric.utilities import registry
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch.nn import functional as F

from transfer_lab.backbones.counting import parameter_count
from transfer_lab.data.base import ImageDomain
from transfer_lab.experiment.budget import Fit
from transfer_lab.regimes.base import Phase, TransferModule
from transfer_lab.regimes.solved import Sample, SolvedModule
from transfer_lab.store.feature_cache import FeatureCache
from transfer_lab.system import pulse
from transfer_lab.system.device import Precision, device
from transfer_lab.training.curve import Curve, FitClock, Row
from transfer_lab.training.early_stopping import EarlyStopping
from transfer_lab.training.frozen_features import Computed, FrozenFeatures
from transfer_lab.training.loop import Loop, loop_of
from transfer_lab.training.metrics import dead_share

_VALIDATIONS = 10
_STEPS_BETWEEN = 10
"""Of two validations where patience is counted in them, or an epoch if that has more: so neither
the cap nor a handful of images decides how long patience lasts."""
_LIGHTNING = {"fp32": "32-true", "bf16": "bf16-mixed"}


@dataclass
class FitResult:
    """What fitting and testing one regime took, and the curve it left.

    `features`: seconds of computing the output of each frozen prefix on each section, cold.
    """

    clock: FitClock = field(default_factory=FitClock)
    features: dict[Computed, float] = field(default_factory=dict)
    eval_seconds: float = 0.0
    trainable_params: int = 0
    dead_units: float | None = None
    device: str = "cpu"
    images_beside: int = 0
    """Images of streams that were seen in steps, or for a solution."""
    stopped: Literal["converged", "cap"] | None = None
    """With patience: whether every phase ended by itself."""
    diverged: bool = False
    """Of heads that are fitted in one pass, where the others went on."""

    def __post_init__(self):
        self.curve = Curve(self.clock)
        self._kept: Row | None = None

    @property
    def kept(self) -> Row:
        """The epoch whose model is the result: the last one, unless patience kept another."""
        return self.curve.last if self._kept is None else self._kept

    def note(self, watch: EarlyStopping) -> None:
        """Which epoch of the phase that has just ended was kept, and why the phase ended."""
        validated = [row for row in self.curve.rows if row["val_loss"] is not None]
        phase = validated[len(validated) - watch.seen :]
        self._kept = phase[watch.best]
        if not watch.reached:
            self.stopped = "cap"
        elif self.stopped is None:
            self.stopped = "converged"

    @property
    def feature_seconds(self) -> float:
        """Seconds of all frozen outputs, cold."""
        return sum(self.features.values())


class Loaders(Protocol):
    """What a phase reads."""

    def train_dataloader(self) -> Iterable:
        """Batches, shuffled anew at every pass."""

    def val_dataloader(self) -> Iterable:
        """Batches in order."""

    def leave_device(self) -> None:
        """Give back the device's memory that they took."""


def fit_and_test(
    regime: TransferModule,
    domain: ImageDomain,
    fit: Fit,
    *,
    reuse_prefix: bool = True,
    rows: FeatureCache | None = None,
    precision: Precision = "fp32",
) -> FitResult:
    """Spend the budget phase by phase, then read the test set once.

    The outputs stay in `regime.test_outputs`. With `reuse_prefix` the output of the frozen leading
    stages is computed once, for all runs that share `rows`; without it they run, frozen, at every
    step.
    """
    result = FitResult()
    data = fit_and_validate(
        regime, domain, fit, result, reuse_prefix=reuse_prefix, rows=rows, precision=precision
    )
    read_test_set(regime, data, result, precision)
    return result


def fit_and_validate(
    regime: TransferModule,
    domain: ImageDomain,
    fit: Fit,
    result: FitResult,
    *,
    reuse_prefix: bool = True,
    rows: FeatureCache | None = None,
    precision: Precision = "fp32",
) -> FrozenFeatures:
    """Spend the budget phase by phase without a look at the test set; gives the data as the last
    phase saw them. With patience each phase has its share of the epochs as its cap, and leaves the
    model of its best validation to the next. What it took so far is in the result even if
    the fit raises."""
    regime.observe(domain.section_labels("train"))
    if isinstance(regime, SolvedModule):
        return _solve(regime, domain, result, reuse_prefix, rows, precision)
    data = FrozenFeatures(domain, regime.backbone, 0)
    if fit.patience and not len(domain.split.val):
        raise ValueError("patience watches validation images, and there are none")
    epochs = epochs_for(fit, len(domain.split.train))
    pulse.expect(epochs, capped=fit.patience is not None)
    for phase, share in phase_epochs(regime.phases(), epochs):
        data = _begin(regime, phase, domain, result, reuse_prefix, rows, precision)
        fit_phase(regime, data, share, result, precision, loop_of(regime), fit.patience)
        result.images_beside += data.images_beside
    return data


def _solve(
    regime: SolvedModule,
    domain: ImageDomain,
    result: FitResult,
    reuse_prefix: bool,
    rows: FeatureCache | None,
    precision: Precision,
) -> FrozenFeatures:
    """One calculation in place of steps; the curve has one row, of what it makes of training and
    validation images."""
    (phase,) = regime.phases()
    for images in (domain, *domain.streams.values()):
        images.augment = None  # what is calculated once sees each image as it is
    # The outputs of frozen stages are what is calculated on: there is no way without them.
    data = _begin(regime, phase, domain, result, True, rows, precision)
    target, validation = data.sample("train"), data.sample("val")
    streams = {role: stream.sample("train") for role, stream in data.streams.items()}
    pulse.tell("solving")
    regime.eval()
    start = time.perf_counter()
    regime.solve(target, validation, streams)
    result.clock.seconds += time.perf_counter() - start
    result.images_beside += sum(map(len, streams.values()))
    result.trainable_params = parameter_count(regime.head)
    result.curve.solved(_scores(regime, target), _scores(regime, validation))
    return data


def _scores(regime: SolvedModule, sample: Sample) -> torch.Tensor:
    """Summed loss, right answers and number of examples, as a regime sums them up in steps."""
    sums = torch.zeros(3)
    with torch.no_grad():
        for inputs, labels in sample.batches():
            logits, known = regime(inputs).float(), labels >= 0
            loss = F.cross_entropy(logits[known], labels[known], reduction="sum")
            right = (logits.argmax(1) == labels)[known].sum()
            sums += torch.stack([loss, right.float(), known.sum().float()])
    return sums


def epochs_for(fit: Fit, n_train: int) -> int:
    """Epochs of the budget for this many training images."""
    steps_per_epoch = -(-n_train // fit.batch_size)
    return max(fit.epochs, -(-fit.min_steps // steps_per_epoch))


def phase_epochs(phases: tuple[Phase, ...], epochs: int) -> Iterator[tuple[Phase, int]]:
    """Each phase with its epochs: they add up to the budget, and each has one at least."""
    left = epochs
    for position, phase in enumerate(phases):
        still_to_come = len(phases) - position - 1
        share = left if still_to_come == 0 else round(phase.share * epochs)
        share = max(1, min(share, left - still_to_come))
        left -= share
        yield phase, share


def epochs_between_validations(epochs: int) -> int:
    """Epochs between two validations of a phase that ends with its budget."""
    return -(-epochs // _VALIDATIONS)


def quiet() -> None:
    """Silence what Lightning says at every run of a grid: hints, banners, loader advice."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\.")
    warnings.filterwarnings("ignore", message=r".*lightning.*")


def look_once() -> None:
    """Have Lightning look through the installed packages for callbacks of theirs at the first
    Trainer of this process alone: they stay as they are, and each look takes as long as some
    epochs of a probe."""
    registry.entry_points = functools.cache(registry.entry_points)


def _begin(
    regime: TransferModule,
    phase: Phase,
    domain: ImageDomain,
    result: FitResult,
    reuse_prefix: bool,
    rows: FeatureCache | None,
    precision: Precision,
) -> FrozenFeatures:
    stop = phase.prefix if reuse_prefix else 0
    regime.begin(phase, entry=stop)
    data = FrozenFeatures(domain, regime.backbone, stop, rows, precision)
    pulse.tell("frozen stages" if stop else "images")
    data.setup("fit")
    result.features |= data.costs
    return data


def fit_phase(
    regime: L.LightningModule,
    data: Loaders,
    epochs: int,
    result: FitResult,
    precision: Precision,
    loop: type[Loop],
    patience: int | None = None,
) -> None:
    """Take a phase's epochs, validating ten times; with patience, until validation says so."""
    result.trainable_params = max(result.trainable_params, parameter_count(regime, trainable=True))
    batches: Iterable = pulse.followed(data.train_dataloader())
    watch = EarlyStopping(patience) if patience else None
    between = -(-_STEPS_BETWEEN // len(batches)) if watch else epochs_between_validations(epochs)
    regime.steps = math.inf if watch else epochs * len(batches)
    way = loop(device(), batches, epochs, between, result.curve.note)
    trainer = _trainer(
        way.strategy,
        precision,
        max_epochs=epochs,
        callbacks=[*([watch] if watch else []), result.clock, *way.callbacks, result.curve],
    )
    try:
        way.fit(trainer, regime, data.val_dataloader())
    finally:
        data.leave_device()
    if watch:
        watch.restore(regime)
        result.note(watch)
    result.device = str(trainer.strategy.root_device)


def read_test_set(
    regime: TransferModule, data: FrozenFeatures, result: FitResult, precision: Precision
) -> None:
    """Answer the test images and note what that took; the answers stay with the regime."""
    pulse.tell("testing")
    data.setup("test")
    result.features |= data.costs
    start = time.perf_counter()
    trainer = _trainer(SingleDeviceStrategy(device()), precision)
    trainer.test(regime, datamodule=data, verbose=False)
    result.eval_seconds = time.perf_counter() - start
    # After the pass that is timed, and on a sample, since watching every layer takes time.
    result.dead_units = dead_share(regime, torch.cat(regime.tested).to(regime.device))


def _trainer(strategy: SingleDeviceStrategy, precision: Precision, **more: object) -> L.Trainer:
    """A plain Trainer; last epoch, no checkpoints (their writes would count as training)."""
    return L.Trainer(
        accelerator=device().type,
        strategy=strategy,
        precision=_LIGHTNING[precision],
        num_sanity_val_steps=0,
        log_every_n_steps=2**31,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **more,
    )
