"""One budget, spent in phases: regime and data go through `L.Trainer`, the test set comes last."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import lightning as L

from transfer_lab.activations import PrefixDomain
from transfer_lab.counting import parameter_count
from transfer_lab.dead_units import dead_share
from transfer_lab.domains.base import ImageDomain
from transfer_lab.regimes.base import Phase, TransferModule
from transfer_lab.rows import RowStore
from transfer_lab.spec import Fit
from transfer_lab.timing import Curve, FitClock

_VALIDATIONS = 10


@dataclass
class Ledger:
    """What fitting and testing one regime took, and the curve it left."""

    clock: FitClock = field(default_factory=FitClock)
    feature_seconds: float = 0.0
    eval_seconds: float = 0.0
    trainable_params: int = 0
    dead_units: float | None = None
    device: str = "cpu"

    def __post_init__(self):
        self.curve = Curve(self.clock)


def fit_and_test(
    regime: TransferModule,
    domain: ImageDomain,
    fit: Fit,
    *,
    reuse_prefix: bool = True,
    rows: RowStore | None = None,
) -> Ledger:
    """Spend the budget phase by phase, then read the test set once.

    The outputs stay in `regime.test_outputs`. With `reuse_prefix` the output of the frozen leading
    stages is computed once, for all runs that share `rows`; without it they run, frozen, at every
    step.
    """
    ledger = Ledger()
    regime.observe(domain.section_labels("train"))
    data = PrefixDomain(domain, regime.backbone, 0)
    epochs = epochs_for(fit, len(domain.split.train))
    for phase, share in phase_epochs(regime.phases(), epochs):
        data = _begin(regime, phase, domain, reuse_prefix, rows)
        _fit_phase(regime, data, _trainer(share, ledger), ledger)
    _test(regime, data, _trainer(1, ledger), ledger)
    return ledger


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


def quiet() -> None:
    """Silence what Lightning says at every run of a grid: hints, banners, loader advice."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\.")
    warnings.filterwarnings("ignore", message=r".*lightning.*")


def _begin(
    regime: TransferModule,
    phase: Phase,
    domain: ImageDomain,
    reuse_prefix: bool,
    rows: RowStore | None,
) -> PrefixDomain:
    stop = phase.prefix if reuse_prefix else 0
    if stop and not PrefixDomain.fits(domain, regime.backbone, stop, rows):
        stop = 0
    regime.begin(phase, entry=stop)
    return PrefixDomain(domain, regime.backbone, stop, rows)


def _fit_phase(
    regime: TransferModule, data: PrefixDomain, trainer: L.Trainer, ledger: Ledger
) -> None:
    ledger.trainable_params = max(ledger.trainable_params, parameter_count(regime, trainable=True))
    trainer.fit(regime, datamodule=data)
    if ledger.curve.last["val_accuracy"] is None and len(data.domain.split.val):
        trainer.validate(regime, datamodule=data, verbose=False)
        ledger.curve.add_validation(regime)
    ledger.feature_seconds += data.seconds
    data.seconds = 0.0
    ledger.device = str(trainer.strategy.root_device)


def _test(regime: TransferModule, data: PrefixDomain, trainer: L.Trainer, ledger: Ledger) -> None:
    data.setup("test")
    ledger.feature_seconds += data.seconds
    start = time.perf_counter()
    trainer.test(regime, datamodule=data, verbose=False)
    ledger.eval_seconds = time.perf_counter() - start
    # After the pass that is timed, and on one batch, since watching every layer takes time.
    ledger.dead_units = dead_share(regime, regime.first_tested.to(regime.device))


def _trainer(epochs: int, ledger: Ledger) -> L.Trainer:
    """A plain Trainer; last epoch, no checkpoints (their writes would count as training)."""
    return L.Trainer(
        max_epochs=epochs,
        devices=1,
        callbacks=[ledger.clock, ledger.curve],
        check_val_every_n_epoch=-(-epochs // _VALIDATIONS),
        num_sanity_val_steps=0,
        log_every_n_steps=2**31,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
