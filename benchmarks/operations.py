"""Operations of a whole run, counted and not measured: the least that any program must compute."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from transfer_lab.data.base import ImageDomain
from transfer_lab.experiment.spec import Fit
from transfer_lab.regimes.base import TransferModule
from transfer_lab.training.fit import epochs_between_validations, epochs_for, phase_epochs

_BATCH = 2
"""Batch normalisation learns from two images or more."""


@dataclass(frozen=True)
class Operations:
    """Floating-point operations of a run: of its frozen outputs, each image's once; of its steps,
    forwards and backwards; of its validations; of its test."""

    features: float
    fit: float
    validation: float
    test: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.features + self.fit + self.validation + self.test


def operations(regime: TransferModule, domain: ImageDomain, fit: Fit) -> Operations:
    """Of fitting and testing a regime on a domain under a budget, images not augmented and no
    options tried; nothing is computed. Frozen leading stages run once an image, and of learning
    ones no gradient is counted that nothing needs."""
    train, val, test = (len(domain.section_labels(s)) for s in ("train", "val", "test"))
    shadow = copy.deepcopy(regime).to("meta")
    frozen: dict[int, float] = {}
    stop, steps, validation, forward = 0, 0.0, 0.0, 0.0
    for phase, epochs in phase_epochs(shadow.phases(), epochs_for(fit, train)):
        stop = phase.prefix
        shadow.begin(phase, entry=stop)
        inputs = _inputs(shadow, stop, domain.image_size)
        frozen[stop] = _through_prefix(shadow, stop, domain.image_size)
        steps += epochs * train * _counted(lambda inputs=inputs: _step(shadow, inputs))
        forward = _counted(torch.no_grad()(lambda inputs=inputs: shadow.eval()(inputs)))
        validation += -(-epochs // epochs_between_validations(epochs)) * val * forward
    features = sum(frozen.values()) * (train + val) + frozen[stop] * test
    return Operations(features, steps, validation, test * forward)


def _inputs(regime: TransferModule, entry: int, image_size: int) -> torch.Tensor:
    if entry == 0:
        return torch.empty(_BATCH, 3, image_size, image_size, dtype=torch.uint8, device="meta")
    return torch.empty(_BATCH, *regime.backbone.output_shape(image_size, entry), device="meta")


def _through_prefix(regime: TransferModule, stop: int, image_size: int) -> float:
    images = _inputs(regime, 0, image_size)
    return _counted(torch.no_grad()(lambda: regime.backbone(images, stop=stop)))


def _step(regime: TransferModule, inputs: torch.Tensor) -> None:
    labels = torch.zeros(_BATCH, dtype=torch.long, device="meta")
    F.cross_entropy(regime.train()(inputs), labels).backward()


def _counted(call: Callable[[], object]) -> float:
    """Operations of a call on a batch, by image: of convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / _BATCH
