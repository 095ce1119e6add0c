"""How fast this machine is with a network: measured on one batch, to foretell many."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from transfer_lab.advice.challengers.photographs import Photographs
from transfer_lab.advice.features.networks import Network
from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.frozen import FrozenPrefix
from transfer_lab.regimes.base import TransferModule
from transfer_lab.system.device import device

_ENOUGH_S = 0.3
_MOST_STEPS = 5
_FEW = 8


class Pace(NamedTuple):
    """Seconds before the first image, and for each; how many make a batch."""

    before: float
    each: float
    batch: int = 1

    def of(self, images: int) -> float:
        """Seconds for so many."""
        return self.before + self.each * images

    def of_batches(self, images: int) -> float:
        """Where the last batch is filled up to be as large as all others."""
        return self.of(self.batch * -(-images // self.batch))


def feature_seconds(photographs: Photographs, network: Network, size: int) -> float:
    """Seconds that features of all photographs take, decoding them included; none where they are
    there already."""
    if photographs.has_features(network, size):
        return 0.0
    backbone = photographs.backbone(network)
    frozen = frozen_pace(backbone, len(backbone.stages), size)
    return photographs.decode_seconds(size) + frozen.of_batches(len(photographs))


def frozen_seconds(backbone: Backbone, stop: int, size: int) -> float:
    """Seconds that the first frozen stages take for an image."""
    return frozen_pace(backbone, stop, size).each


def frozen_pace(backbone: Backbone, stop: int, size: int) -> Pace:
    """What the first frozen stages take, and making them ready for inference."""
    if not stop:
        return Pace(0.0, 0.0)
    start = time.monotonic()
    prefix = FrozenPrefix(backbone, stop, device())
    images = torch.randint(256, (prefix.batch_size(size), 3, size, size), dtype=torch.uint8)
    prefix(images)
    warm = time.monotonic() - start
    each = _seconds(lambda: prefix(images)) / len(images)
    return Pace(max(0.0, warm - each * len(images)), each, len(images))


def step_seconds(regime: TransferModule, size: int, batch_size: int) -> float:
    """Seconds that a step of the regime's last phase takes for an image, from a copy of it; from a
    part of a batch where that is long enough to be measured."""
    regime = copy.deepcopy(regime).to(device())
    (*_, phase) = regime.phases()
    regime.begin(phase, entry=phase.prefix, steps=_MOST_STEPS)
    optimizer = regime.configure_optimizers()["optimizer"]
    for images in (_FEW, batch_size):
        inputs, labels = _example(regime, size, images)

        def step(inputs: torch.Tensor = inputs, labels: torch.Tensor = labels) -> None:
            optimizer.zero_grad()
            regime.loss(regime(inputs), labels).backward()
            optimizer.step()

        step()
        each = _seconds(step) / images
        if each * images > _ENOUGH_S:
            break
    return each


def _example(
    regime: TransferModule, size: int, batch_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.zeros(batch_size, dtype=torch.long, device=device())
    if not regime.entry:
        images = torch.randint(256, (batch_size, 3, size, size), dtype=torch.uint8)
        return images.to(device()), labels
    shape = regime.backbone.output_shape(size, regime.entry)
    return torch.randn(batch_size, *shape, device=device()), labels


def _seconds(work: Callable[[], object]) -> float:
    """Of one go, of work that is warm, on average: whatever else the machine is busy with will
    last."""
    goes, start = 0, time.monotonic()
    while not goes or (goes < _MOST_STEPS and time.monotonic() - start < _ENOUGH_S):
        work()
        goes += 1
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.monotonic() - start) / goes
