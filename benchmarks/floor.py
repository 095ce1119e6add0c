"""The least time that a network's layers can take: operations and bytes over measured ceilings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from transfer_lab.backbones.base import Backbone


@dataclass(frozen=True)
class Ceilings:
    """The best rates that were measured: operations and bytes a second."""

    operations: float
    bytes: float


@dataclass(frozen=True)
class Layer:
    """A layer's multiply-accumulates and numbers moved, for one image.

    Numbers moved are its inputs read once and its outputs written once. Weights are left out,
    since a batch shares them, and so are activation functions, which can be applied before the
    output is written.
    """

    name: str
    macs: int
    numbers: int

    def seconds(self, ceilings: Ceilings, width: int) -> float:
        """What takes longer, computing or moving; `width`: bytes of a number."""
        return max(self._computing(ceilings), self._moving(ceilings, width))

    def is_bound_by_operations(self, ceilings: Ceilings, width: int) -> bool:
        """Whether computing takes longer than moving."""
        return self._computing(ceilings) >= self._moving(ceilings, width)

    def _computing(self, ceilings: Ceilings) -> float:
        return 2 * self.macs / ceilings.operations

    def _moving(self, ceilings: Ceilings, width: int) -> float:
        return width * self.numbers / ceilings.bytes


def layers(backbone: Backbone, image_size: int) -> tuple[Layer, ...]:
    """Convolutions, dense layers and poolings in the order of their execution; nothing computed."""
    shadow = backbone.to("meta").eval()
    found: list[Layer] = []

    def note(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        found.append(_layer(module, inputs[0], output))

    kinds = (nn.Conv2d, nn.Linear, nn.MaxPool2d, nn.AdaptiveAvgPool2d)
    hooks = [m.register_forward_hook(note) for m in shadow.modules() if isinstance(m, kinds)]
    with torch.no_grad():
        shadow(torch.empty(1, 3, image_size, image_size, dtype=torch.uint8, device="meta"))
    for hook in hooks:
        hook.remove()
    return tuple(found)


def floor_seconds(found: Iterable[Layer], ceilings: Ceilings, width: int) -> float:
    """Seconds an image, one layer after another."""
    return sum(layer.seconds(ceilings, width) for layer in found)


def _layer(module: nn.Module, inputs: torch.Tensor, output: torch.Tensor) -> Layer:
    macs = 0
    if isinstance(module, nn.Conv2d):
        macs = output[0].numel() * prod(module.kernel_size) * module.in_channels // module.groups
        name = f"conv {module.in_channels}-{module.out_channels}"
    elif isinstance(module, nn.Linear):
        macs = output[0].numel() * module.in_features
        name = f"dense {module.in_features}-{module.out_features}"
    else:
        name = "pool"
    side = f" at {inputs.shape[-1]}" if inputs.dim() == 4 else ""
    return Layer(name + side, macs, inputs[0].numel() + output[0].numel())
