"""How a network sees some images before its fit, and what has changed after it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from transfer_lab.backbones.base import Backbone
from transfer_lab.data.base import ImageDomain
from transfer_lab.experiment.seeds import derive
from transfer_lab.regimes.base import TransferModule
from transfer_lab.similarity.cka import cka_of_products
from transfer_lab.similarity.samples import DegenerateError
from transfer_lab.store.stage_drift import StageChange, to_csv
from transfer_lab.system.device import device

IMAGES = 256
"""At most so many are looked at, and fewer where a stage gives large maps."""
_MEMORY = 2**28
"""Bytes that what a stage gives for all of them may take."""
_BATCH, _PIXELS = 32, 2**18
"""Images, and pixels, that go through a stage at a time: within it maps may be larger still."""
_BLOCK = 2**22
"""Numbers of a stage's output that are centred and multiplied at a time."""


def begin(regime: TransferModule, domain: ImageDomain, title: str) -> StageProbe | None:
    """The stages before the fit of that title; none, and a warning, where looking fails: no fit
    fails for it."""
    with _apart(title):
        return StageProbe(regime, sample(domain))
    return None


def end(probe: StageProbe, regime: TransferModule, title: str) -> bytes | None:
    """What has changed, as cka.csv; None, and a warning, where looking fails."""
    with _apart(title):
        return to_csv(probe.changes(regime))
    return None


@contextlib.contextmanager
def _apart(title: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # what a device or somebody's module may raise has no end
        told = f"{title}: what fine-tuning changed is not known: {type(error).__name__}: {error}"
        warnings.warn(told, stacklevel=4)


def sample(domain: ImageDomain) -> torch.Tensor:
    """Images of the target's training pool, drawn or not, without labels: the same ones for every
    run on the domain, so that sizes and seeds can be compared. In random order: the first ones of
    them are of all classes, too."""
    images, *_ = domain.source_of("train")
    pool = domain.pool()
    order = np.random.default_rng(derive(0, "witness")).permutation(len(pool))
    return torch.from_numpy(np.asarray(images[pool[order[:IMAGES]]]))


def fine_tunes(regime: TransferModule) -> bool:
    """Whether a stage that comes from the source learns in some phase."""
    return len(_frozen(regime)) < len(regime.transferred_stages)


class StageProbe:
    """Remembers what each transferred stage gives for some images at step 0.

    Of outputs it keeps one stage's while the model is fitted, that before the first stage that
    learns: all before that is frozen, gives the same again, and is not computed again.
    """

    def __init__(self, regime: TransferModule, images: torch.Tensor):
        self._entry = _leading(_frozen(regime))
        with _looking(regime) as backbone:
            self.images = min(len(images), _affordable(backbone, images[:1], _stop(regime)))
            # Copies: the next stage may begin with a layer that works in place.
            self._kept = list(images[: self.images].clone().split(_batch(images)))
            parts = _prepared(backbone, self._kept)
            self._before = []
            for number, stage in enumerate(backbone.stages[: _stop(regime)]):
                if number == self._entry > 0:
                    self._kept = [part.to("cpu", copy=True) for part in parts]
                self._before.append(_products(_through(stage, parts)))

    def changes(self, regime: TransferModule) -> tuple[StageChange, ...]:
        """Each of these stages now against step 0; once, since what is kept is used up."""
        frozen, kept = _frozen(regime), self._kept
        self._kept = []
        after = self._before[: self._entry]
        with _looking(regime) as backbone:
            parts = (
                [part.to(device()) for part in kept] if self._entry else _prepared(backbone, kept)
            )
            del kept
            for stage in backbone.stages[self._entry : _stop(regime)]:
                after.append(_products(_through(stage, parts)))
        return tuple(
            _change(number, number in frozen, self.images, pair)
            for number, pair in enumerate(zip(self._before, after, strict=True))
            if number in regime.transferred_stages
        )


def _frozen(regime: TransferModule) -> set[int]:
    """The transferred stages that no phase lets learn."""
    stages = set(regime.transferred_stages)
    return stages.intersection(*(p.frozen for p in regime.phases()))


def _stop(regime: TransferModule) -> int:
    """How many leading stages hold all that are transferred."""
    return max(regime.transferred_stages, default=-1) + 1


def _leading(frozen: set[int]) -> int:
    count = 0
    while count in frozen:
        count += 1
    return count


def _change(
    number: int, frozen: bool, images: int, products: tuple[np.ndarray, np.ndarray]
) -> StageChange:
    try:
        return StageChange(number + 1, frozen, images, cka_of_products(*products))
    except DegenerateError as reason:
        return StageChange(number + 1, frozen, images, None, str(reason))


@contextlib.contextmanager
def _looking(regime: TransferModule) -> Iterator[Backbone]:
    """The backbone in eval mode where it computes, in fp32 and without gradients; the regime is
    left as it was, and no random number is drawn."""
    backbone, home = regime.backbone, regime.device
    modes = [(module, module.training) for module in regime.modules()]
    regime.eval()
    try:
        with torch.no_grad():
            yield backbone.to(device())
    finally:
        backbone.to(home)
        for module, training in modes:
            module.training = training


def _affordable(backbone: Backbone, image: torch.Tensor, stop: int) -> int:
    """How many images' outputs of any one stage may be held."""
    (part,) = _prepared(backbone, [image])
    largest = part.nbytes
    for stage in backbone.stages[:stop]:
        part = stage(part)
        largest = max(largest, part.nbytes)
    return max(1, _MEMORY // largest)


def _batch(images: torch.Tensor) -> int:
    return min(_BATCH, max(1, _PIXELS // images.shape[-1] ** 2))


def _prepared(backbone: Backbone, parts: list[torch.Tensor]) -> list[torch.Tensor]:
    return [backbone.prepare(part.to(device())) for part in parts]


def _through(stage: nn.Module, parts: list[torch.Tensor]) -> list[torch.Tensor]:
    """The same list, each part replaced by what the stage gives for it: no second copy is held."""
    for place in range(len(parts)):
        parts[place] = stage(parts[place])
    return parts


def _products(parts: list[torch.Tensor]) -> np.ndarray:
    """Inner products of centred outputs, some features at a time."""
    images = sum(map(len, parts))
    found = np.zeros((images, images))
    step = max(1, _BLOCK // (images * parts[0][0, 0].numel()))
    for start in range(0, parts[0].shape[1], step):
        features = torch.cat([part[:, start : start + step].flatten(1) for part in parts]).float()
        if not (features == features[0]).all():  # centring would leave rounding
            features -= features.mean(0)
            found += (features @ features.T).cpu().numpy()
    return found
