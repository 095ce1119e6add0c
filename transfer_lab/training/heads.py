"""Linear heads on frozen features, fitted in one pass over the batches of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transfer_lab.backbones.counting import parameter_count
from transfer_lab.data.base import ImageDomain
from transfer_lab.experiment.spec import Fit
from transfer_lab.regimes.base import TransferModule
from transfer_lab.store.feature_cache import RowStore
from transfer_lab.system import pulse
from transfer_lab.system.device import Precision
from transfer_lab.training.curve import FitClock
from transfer_lab.training.fit import Ledger, epochs_for, fit_phase, read_test_set
from transfer_lab.training.frozen_features import PrefixDomain
from transfer_lab.training.loop import StretchLoop
from transfer_lab.training.multi_head import Abreast, Curves, HeadsTogether


class Heads(NamedTuple):
    """Regimes that learn from the same images: a linear head each, on all stages."""

    domain: ImageDomain
    regimes: Sequence[TransferModule]


class Fitted(NamedTuple):
    """What one group of heads learnt from, and a ledger for each of them."""

    data: PrefixDomain
    ledgers: list[Ledger]


def fit_heads(
    groups: Sequence[Heads],
    fit: Fit,
    *,
    rows: RowStore | None = None,
    precision: Precision = "fp32",
) -> list[Fitted]:
    """Fit heads that differ in their rates, and from group to group in their images, in one pass,
    without a look at the test set.

    Every ledger has the seconds of the whole pass: that is how long its head took here, and never
    less than it takes alone. A head that diverges ends no other. Raises ValueError where backbones
    or the numbers of images differ, with patience, which would end each head by itself, and where
    the outputs that several groups learn from could not be stored.
    """
    if fit.patience:
        raise ValueError("with patience heads are not fitted in one pass")
    splits = [heads.domain.split for heads in groups]
    if len({(len(split.train), len(split.val)) for split in splits}) > 1:
        raise ValueError("heads on different numbers of images are not fitted in one pass")
    together, whole = HeadsTogether([heads.regimes for heads in groups]), Ledger()
    fitted: list[Fitted] = []
    for heads in groups:
        like = fitted[0].data if fitted else None
        fitted.append(_begin(heads, whole.clock, rows, precision, like))
    if len(groups) > 1 and not all(each.data.is_stored for each in fitted):
        raise ValueError("without stored outputs several seeds have nothing to share")
    whole.curve = curves = Curves(whole.clock, len(together.members))
    epochs = epochs_for(fit, len(splits[0].train))
    pulse.expect(epochs)
    data = _SideBySide([each.data for each in fitted])
    fit_phase(together, data, epochs, whole, precision, StretchLoop)
    ledgers = [ledger for each in fitted for ledger in each.ledgers]
    for member, ledger, followed in zip(together.members, ledgers, curves.each, strict=True):
        ledger.curve, ledger.diverged = followed
        ledger.trainable_params = parameter_count(member, trainable=True)
        ledger.device = whole.device
    return fitted


def fit_and_test_heads(
    groups: Sequence[Heads],
    fit: Fit,
    *,
    rows: RowStore | None = None,
    precision: Precision = "fp32",
) -> list[list[Ledger]]:
    """As `fit_heads`, then read each head's test set once; those that diverged are not tested."""
    fitted = fit_heads(groups, fit, rows=rows, precision=precision)
    for heads, (data, ledgers) in zip(groups, fitted, strict=True):
        for regime, ledger in zip(heads.regimes, ledgers, strict=True):
            if not ledger.diverged:
                read_test_set(regime, data, ledger, precision)
    return [each.ledgers for each in fitted]


def _begin(
    heads: Heads,
    clock: FitClock,
    rows: RowStore | None,
    precision: Precision,
    like: PrefixDomain | None,
) -> Fitted:
    labels = heads.domain.section_labels("train")
    for regime in heads.regimes:
        regime.observe(labels)
        (phase,) = regime.phases()
        regime.begin(phase, entry=phase.prefix)
    data = PrefixDomain(heads.domain, regime.backbone, phase.prefix, rows, precision, like)
    pulse.tell("frozen stages")
    data.setup("fit")
    return Fitted(data, [Ledger(clock, features=dict(data.costs)) for _ in heads.regimes])


class _SideBySide:
    """The data of several groups, read in step."""

    def __init__(self, groups: Sequence[PrefixDomain]):
        self.groups = groups

    def train_dataloader(self) -> Abreast:
        return Abreast(data.train_dataloader() for data in self.groups)

    def val_dataloader(self) -> Abreast:
        return Abreast(data.val_dataloader() for data in self.groups)

    def leave_device(self) -> None:
        for data in self.groups:
            data.leave_device()
