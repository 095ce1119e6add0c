"""How a network sees some images before its fit, and what has changed after it."""

from __future__ import annotations

import numpy as np
import torch

from transfer_lab.arithmetic import device
from transfer_lab.backbones.base import Backbone
from transfer_lab.changes import StageChange
from transfer_lab.domains.base import ImageDomain
from transfer_lab.regimes.base import TransferModule
from transfer_lab.seeding import derive
from transfer_lab.similarity.cka import cka_of_products
from transfer_lab.similarity.samples import DegenerateError

IMAGES = 256
"""At most so many are looked at."""
_BATCH = 32


def sample(domain: ImageDomain) -> torch.Tensor:
    """Images of the target's training pool, drawn or not, without labels: the same ones for every
    run on the domain, so that sizes and seeds can be compared."""
    images, *_ = domain.source_of("train")
    order = np.random.default_rng(derive(0, "witness")).permutation(len(images))
    return torch.from_numpy(np.array(images[np.sort(order[:IMAGES])]))


def fine_tunes(regime: TransferModule) -> bool:
    """Whether a stage that comes from the source learns in some phase."""
    return len(_frozen(regime)) < regime.transferred


class Witness:
    """Remembers what each transferred stage gives for some images at step 0."""

    def __init__(self, regime: TransferModule, images: torch.Tensor):
        self._images, self._before = images, _products(regime, images)

    def changes(self, regime: TransferModule) -> tuple[StageChange, ...]:
        """Each of these stages now against step 0."""
        frozen, after = _frozen(regime), _products(regime, self._images)
        return tuple(
            _change(number, number in frozen, len(self._images), pair)
            for number, pair in enumerate(zip(self._before, after, strict=True))
        )


def _frozen(regime: TransferModule) -> set[int]:
    """The transferred stages that no phase lets learn."""
    return set(range(regime.transferred)).intersection(*(p.frozen for p in regime.phases()))


def _change(
    number: int, frozen: bool, images: int, products: tuple[np.ndarray, np.ndarray]
) -> StageChange:
    try:
        return StageChange(number + 1, frozen, images, cka_of_products(*products))
    except DegenerateError as reason:
        return StageChange(number + 1, frozen, images, None, str(reason))


def _products(regime: TransferModule, images: torch.Tensor) -> list[np.ndarray]:
    """Inner products of the centred outputs of every transferred stage, in eval mode and fp32; the
    regime is left as it was, and no random number is drawn."""
    backbone, home = regime.backbone, regime.device
    modes = [(module, module.training) for module in regime.modules()]
    regime.eval()
    try:
        with torch.no_grad():
            return _through(backbone.to(device()), images, regime.transferred)
    finally:
        backbone.to(home)
        for module, training in modes:
            module.training = training


def _through(backbone: Backbone, images: torch.Tensor, stop: int) -> list[np.ndarray]:
    """Stage after stage, few images at a time: only what a stage gives is held for all."""
    parts = [backbone.prepare(part.to(device())) for part in images.split(_BATCH)]
    found = []
    for stage in backbone.stages[:stop]:
        parts = [stage(part) for part in parts]
        # At once: the next stage may begin with a layer that works in place.
        found.append(_product(torch.cat([part.flatten(1) for part in parts]).float()))
    return found


def _product(features: torch.Tensor) -> np.ndarray:
    if (features == features[0]).all():  # centring would leave rounding
        return np.zeros((len(features), len(features)))
    features -= features.mean(0)
    return (features @ features.T).cpu().numpy().astype(np.float64)
