"""Operations of a model, counted and not measured."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def macs_per_image(model: nn.Module, image_size: int) -> int:
    """Multiply-accumulates of one forward pass over one image (convolutions, matrix products)."""
    shadow = copy.deepcopy(model).to("meta").eval()
    image = torch.empty(1, 3, image_size, image_size, dtype=torch.uint8, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shadow(image)
    return counter.get_total_flops() // 2


def parameter_count(model: nn.Module, *, trainable: bool = False) -> int:
    """Number of parameters, or of those that learn."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)
