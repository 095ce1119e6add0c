"""Convolutions whose windows all cover the whole map, learnt as matrix products."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn
from torch.nn import functional as F

Pair = tuple[int, int]


class SmallMapConv2d(nn.Conv2d):
    """`nn.Conv2d`; while it learns on a CPU, a map that each of its windows covers goes through it
    as one matrix product.

    As in the last stage of a VGG16 at 32 pixels, 2 x 2 under 3 x 3. The product leaves out what a
    convolution multiplies with padding, and above all its gradient: that of a convolution's weights
    takes PyTorch several times as long on such maps.
    """

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if inputs.device.type == "cpu" and torch.is_grad_enabled() and self.weight.requires_grad:
            size = tuple(inputs.shape[-2:])
            taps = _taps(size, self.kernel_size, self.stride, self.padding)
            if taps is not None:
                return self._product(inputs, taps)
        return super().forward(inputs)

    def _product(self, inputs: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
        high, wide, pixels = taps.shape
        filters = self.weight.permute(2, 3, 0, 1).flatten(0, 1).index_select(0, taps.flatten())
        matrix = (
            filters.unflatten(0, (high * wide, pixels))
            .transpose(1, 2)
            .reshape(high * wide * self.out_channels, pixels * self.in_channels)
        )
        bias = None if self.bias is None else self.bias.repeat(high * wide)
        outputs = F.linear(inputs.permute(0, 2, 3, 1).flatten(1), matrix, bias)
        return outputs.view(-1, high, wide, self.out_channels).permute(0, 3, 1, 2)


def learn_as_products(stage: nn.Module) -> None:
    """Have the convolutions of a stage that learns choose the faster way; its tensors stay."""
    for module in stage.modules():
        if type(module) is nn.Conv2d and _is_plain(module):
            module.__class__ = SmallMapConv2d


def compute_as_convolutions(stage: nn.Module) -> None:
    """Undo it in a stage that no longer learns, so that it can be folded and fused as ever."""
    for module in stage.modules():
        if type(module) is SmallMapConv2d:
            module.__class__ = nn.Conv2d


def _is_plain(layer: nn.Conv2d) -> bool:
    padded = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return padded and layer.groups == 1 and layer.dilation == (1, 1)


@cache
def _taps(size: Pair, kernel: Pair, stride: Pair, padding: Pair) -> torch.Tensor | None:
    """(rows, columns, pixels): which weight of the kernel each output position has for each pixel
    of the map; None unless every position has one for every pixel."""
    rows, columns = map(_taps_along, size, kernel, stride, padding)
    if rows is None or columns is None:
        return None
    taps = rows[:, None, :, None] * kernel[1] + columns[None, :, None, :]
    return taps.flatten(2)


def _taps_along(size: int, kernel: int, stride: int, padding: int) -> torch.Tensor | None:
    positions = (size + 2 * padding - kernel) // stride + 1
    taps = torch.arange(size) + padding - stride * torch.arange(positions)[:, None]
    return taps if len(taps) and taps.min() >= 0 and taps.max() < kernel else None
