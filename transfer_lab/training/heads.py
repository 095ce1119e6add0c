"""Linear heads on frozen features, fitted in one pass: of several rates, several seeds, or both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import lightning as L
import torch
from torch import nn

from transfer_lab.backbones.counting import parameter_count
from transfer_lab.data.base import ImageDomain
from transfer_lab.experiment.budget import Fit
from transfer_lab.regimes.base import TransferModule
from transfer_lab.regimes.hooks import own_hooks
from transfer_lab.regimes.optim import RECIPES
from transfer_lab.regimes.solved import SolvedModule
from transfer_lab.store.feature_cache import FeatureCache
from transfer_lab.system import pulse
from transfer_lab.system.device import Precision
from transfer_lab.system.pulse import Line
from transfer_lab.training.curve import Curve, Epoch, FitClock, NonFiniteLossError, line
from transfer_lab.training.fit import FitResult, epochs_for, fit_phase, read_test_set
from transfer_lab.training.frozen_features import FrozenFeatures
from transfer_lab.training.loop import ChunkedLoop

Batch = tuple[torch.Tensor, torch.Tensor]


def differ_in_rate_alone(regimes: Sequence[TransferModule]) -> bool:
    """Whether training these together is exact: of each a linear head learns on all stages,
    frozen, and optimiser, schedule and decay are the same for all."""
    recipes = {(type(r), r.recipe, r.weight_decay, len(r.backbone.stages)) for r in regimes}
    return len(recipes) == 1 and all(learns_linear_head_alone(r) for r in regimes)


def learns_linear_head_alone(regime: TransferModule) -> bool:
    """Whether a linear head is all that learns, on the output of all stages, and Lightning would
    find nothing in the regime that is not `TransferModule`'s: no hook, no step or loss."""
    if own_hooks(regime) or isinstance(regime, SolvedModule) or type(regime.head) is not nn.Linear:
        return False
    return [p.prefix for p in regime.phases()] == [len(regime.backbone.stages)]


def share_backbone(regimes: Sequence[TransferModule]) -> bool:
    """Leave the regimes one backbone, if theirs are equal; says whether they are."""
    first, *others = (regime.backbone for regime in regimes)
    known = first.stages.state_dict()
    for other in others:
        tensors = other.stages.state_dict()
        same = other is first or (
            tensors.keys() == known.keys()
            and all(torch.equal(tensor, known[name]) for name, tensor in tensors.items())
        )
        if not same:
            return False
    for regime in regimes:
        regime.backbone = first
    return True


class ZippedLoaders:
    """Loaders with equally many batches as one: it gives a batch of each at a time."""

    def __init__(self, loaders: Iterable[Iterable[Batch]]):
        self.loaders = tuple(loaders)
        (self._count,) = {len(loader) for loader in self.loaders}

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[Batch, ...]]:
        return zip(*self.loaders, strict=True)


class MultiHeadModule(L.LightningModule):
    """Regimes that differ in their rates and in what they learn from, as one module.

    The regimes of a group read the same batches. The losses are added up, so that no head's
    gradient holds anything of another's, and each has its rate in one optimiser: every head ends
    where it would have ended alone, bit for bit, as it would not if the heads' products were one.
    Raises ValueError where those of a group do not have the same backbone.
    """

    def __init__(self, groups: Sequence[Sequence[TransferModule]]):
        super().__init__()
        members = [member for group in groups for member in group]
        for group in groups:
            if not share_backbone(group):
                raise ValueError("heads on different backbones do not read the same batches")
            share_backbone([members[0], *group])  # of equal ones one is enough to hold
        self.members = nn.ModuleList(members)
        self._reads = [place for place, group in enumerate(groups) for _ in group]
        self.steps: int | None = None

    @property
    def train_sums(self) -> torch.Tensor:
        """What the members summed up over an epoch, a row each."""
        return torch.stack([member.train_sums for member in self.members])

    def configure_optimizers(self) -> dict[str, object]:
        first = self.members[0]
        # One group for all heads of a rate: every group has its own calls, at every step.
        rates: dict[float, list[nn.Parameter]] = {}
        for member in self.members:
            for group in member.parameter_groups():
                rates.setdefault(group["lr"], []).extend(group["params"])
        groups = [{"params": parameters, "lr": rate} for rate, parameters in rates.items()]
        optimizer, schedule = RECIPES[first.recipe](groups, first.weight_decay, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_train_epoch_start(self) -> None:
        for member in self.members:
            member.on_train_epoch_start()

    def training_step(self, batches: Sequence[Batch], index: int) -> torch.Tensor:
        return sum(member.training_step(batch, index) for member, batch in self._with(batches))

    def on_validation_epoch_start(self) -> None:
        for member in self.members:
            member.on_validation_epoch_start()

    def validation_step(self, batches: Sequence[Batch], index: int) -> None:
        for member, batch in self._with(batches):
            member.validation_step(batch, index)

    def _with(self, batches: Sequence[Batch]) -> Iterator[tuple[TransferModule, Batch]]:
        for member, place in zip(self.members, self._reads, strict=True):
            yield member, batches[place]


class Followed(NamedTuple):
    """The curve of one of several regimes, and whether it diverged: then it has no further rows,
    and stops no other."""

    curve: Curve
    diverged: bool


class _Whole(Curve):
    """Takes the epochs of all members, a row of sums for each of them."""

    def __init__(self, clock: FitClock, each: Sequence[Curve]):
        super().__init__(clock)
        self._each = each

    def _so_far(self) -> list[Line]:
        unread = self.unread()
        return [
            line(curve.rows, None if unread is None else unread[:, place])
            for place, curve in enumerate(self._each)
        ]


class Curves(L.Callback):
    """A curve for each member of a `MultiHeadModule`."""

    def __init__(self, clock: FitClock, members: int):
        self._each = tuple(Curve(clock) for _ in range(members))
        self._whole = _Whole(clock, self._each)
        self._diverged: set[int] = set()

    @property
    def each(self) -> list[Followed]:
        """In the order of the members."""
        return [Followed(curve, at in self._diverged) for at, curve in enumerate(self._each)]

    def note(self, sums: torch.Tensor, steps: int) -> None:
        """An epoch has ended, with a row of sums for each member."""
        self._whole.note(sums, steps)

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        for curve in self._each:
            curve.on_train_start(trainer, module)

    def on_train_epoch_end(self, trainer: L.Trainer, module: MultiHeadModule) -> None:
        epochs = self._whole.finished()
        for place, (curve, member) in enumerate(zip(self._each, module.members, strict=True)):
            if place not in self._diverged:
                self._follow(place, epochs)
            if place in self._diverged:
                curve.last.update(val_loss=None, val_accuracy=None)
            else:
                curve.add_validation(member)

    def _follow(self, place: int, epochs: Sequence[Epoch]) -> None:
        try:
            for epoch in epochs:
                self._each[place].add(epoch._replace(sums=epoch.sums[place]))
        except NonFiniteLossError:
            self._diverged.add(place)


class Heads(NamedTuple):
    """Regimes that learn from the same images: a linear head each, on all stages."""

    domain: ImageDomain
    regimes: Sequence[TransferModule]


class Fitted(NamedTuple):
    """What one group of heads learnt from, and a result for each of them."""

    data: FrozenFeatures
    results: list[FitResult]


def fit_heads(
    groups: Sequence[Heads],
    fit: Fit,
    *,
    rows: FeatureCache | None = None,
    precision: Precision = "fp32",
) -> list[Fitted]:
    """Fit heads that differ in their rates, and from group to group in their images, in one pass,
    without a look at the test set.

    Every result has the seconds of the whole pass: that is how long its head took here, and never
    less than it takes alone. A head that diverges ends no other. Raises ValueError where backbones
    in a group or the numbers of images differ, with patience, which would end each head by itself,
    and where the outputs that several groups learn from could not be stored.
    """
    if fit.patience:
        raise ValueError("with patience heads are not fitted in one pass")
    splits = [heads.domain.split for heads in groups]
    if len({(len(split.train), len(split.val)) for split in splits}) > 1:
        raise ValueError("heads on different numbers of images are not fitted in one pass")
    together, whole = MultiHeadModule([heads.regimes for heads in groups]), FitResult()
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
    fit_phase(together, data, epochs, whole, precision, ChunkedLoop)
    results = [result for each in fitted for result in each.results]
    for member, result, followed in zip(together.members, results, curves.each, strict=True):
        result.curve, result.diverged = followed
        result.trainable_params = parameter_count(member, trainable=True)
        result.device = whole.device
    return fitted


def fit_and_test_heads(
    groups: Sequence[Heads],
    fit: Fit,
    *,
    rows: FeatureCache | None = None,
    precision: Precision = "fp32",
) -> list[list[FitResult]]:
    """As `fit_heads`, then read each head's test set once; those that diverged are not tested."""
    fitted = fit_heads(groups, fit, rows=rows, precision=precision)
    for heads, (data, results) in zip(groups, fitted, strict=True):
        for regime, result in zip(heads.regimes, results, strict=True):
            if not result.diverged:
                read_test_set(regime, data, result, precision)
    return [each.results for each in fitted]


def _begin(
    heads: Heads,
    clock: FitClock,
    rows: FeatureCache | None,
    precision: Precision,
    like: FrozenFeatures | None,
) -> Fitted:
    labels = heads.domain.section_labels("train")
    for regime in heads.regimes:
        regime.observe(labels)
        (phase,) = regime.phases()
        regime.begin(phase, entry=phase.prefix)
    data = FrozenFeatures(heads.domain, regime.backbone, phase.prefix, rows, precision, like)
    pulse.tell("frozen stages")
    data.setup("fit")
    return Fitted(data, [FitResult(clock, features=dict(data.costs)) for _ in heads.regimes])


class _SideBySide:
    """The data of several groups, read in step."""

    def __init__(self, groups: Sequence[FrozenFeatures]):
        self.groups = groups

    def train_dataloader(self) -> ZippedLoaders:
        return ZippedLoaders(data.train_dataloader() for data in self.groups)

    def val_dataloader(self) -> ZippedLoaders:
        return ZippedLoaders(data.val_dataloader() for data in self.groups)

    def leave_device(self) -> None:
        for data in self.groups:
            data.leave_device()
