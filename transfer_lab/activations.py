"""The output of a frozen prefix, computed once instead of at every epoch."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable

import lightning as L
import torch
from torch.utils.data import DataLoader

from transfer_lab.backbones.base import Backbone
from transfer_lab.domains.base import ImageDomain, Section

MEMORY_LIMIT = 2 * 2**30
"""Bytes that activations of one section may take; larger ones are recomputed live, frozen."""


def prefix_output(
    backbone: Backbone, stop: int, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]
) -> torch.Tensor:
    """Output of `stages[:stop]` in eval mode for (images, labels) batches; gradient-free.

    Raises RuntimeError if one of these stages is in training mode: its output would not be fixed.
    """
    if any(module.training for stage in backbone.stages[:stop] for module in stage.modules()):
        raise RuntimeError("a frozen prefix must be in eval mode")
    device = next(backbone.parameters()).device
    with torch.no_grad():
        parts = [backbone(images.to(device), stop=stop).cpu() for images, _ in batches]
    return torch.cat(parts) if parts else torch.empty(0)


def fits_in_memory(backbone: Backbone, stop: int, image_size: int, count: int) -> bool:
    """Whether `count` images' activations at this boundary stay within MEMORY_LIMIT."""
    # On a shadow without memory, in eval mode: a pass through the backbone itself, which may still
    # be in training mode, would move the running statistics of stages that are about to freeze.
    shadow = copy.deepcopy(backbone).to("meta").eval()
    probe = torch.zeros(1, 3, image_size, image_size, dtype=torch.uint8, device="meta")
    with torch.no_grad():
        output = shadow(probe, stop=stop)
    return 4 * math.prod(output.shape) * count <= MEMORY_LIMIT


class PrefixDomain(L.LightningDataModule):
    """A domain seen through a frozen prefix: its loaders give activations instead of images.

    Training and validation activations are computed in set-up for fitting, those of the test set
    in set-up for testing, so that neither falls into the fit's time and the test images are not
    read before the fit has ended. `seconds` is what computing them took. With `stop` 0 there is no
    prefix and the loaders are the domain's own.
    """

    def __init__(self, domain: ImageDomain, backbone: Backbone, stop: int):
        super().__init__()
        self.domain, self.backbone, self.stop = domain, backbone, stop
        self.seconds = 0.0
        self._outputs: dict[Section, torch.Tensor] = {}

    def setup(self, stage: str) -> None:
        """Compute what the stage will read."""
        sections = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}[stage]
        for section in sections if self.stop else ():
            if section not in self._outputs:
                start = time.perf_counter()
                batches = self.domain.in_order(section)
                self._outputs[section] = prefix_output(self.backbone, self.stop, batches)
                self.seconds += time.perf_counter() - start

    def train_dataloader(self) -> DataLoader:
        """Shuffled as the domain shuffles its images."""
        return self.domain.loader("train", self._outputs.get("train"))

    def val_dataloader(self) -> DataLoader:
        """In order."""
        return self.domain.loader("val", self._outputs.get("val"))

    def test_dataloader(self) -> DataLoader:
        """In order."""
        return self.domain.loader("test", self._outputs.get("test"))
