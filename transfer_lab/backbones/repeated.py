"""Whether a backbone gives the same images the same features twice."""

from __future__ import annotations

import torch
from torch import Tensor

from transfer_lab.backbones.base import Backbone

ROUNDING = 1e-4
"""Of the largest feature: so far apart two passes may be whose sums were added up in another order,
as several threads and GPUs do, with some margin. A CPU on its own gives the same bits."""


def apart(backbone: Backbone, images: Tensor) -> float:
    """How far the features of two passes over the images are from each other, as a share of the
    largest one; 0 for the same numbers, NaN where they are none in both included.

    The backbone is in eval mode. Chance is not set back in between: what draws on it differs.
    """
    with torch.no_grad():
        first, second = (backbone(images).double() for _ in range(2))
    if first.shape != second.shape:
        return float("inf")
    same = (first == second) | (first.isnan() & second.isnan())
    if same.all():
        return 0.0
    gaps = (first - second).abs().nan_to_num(float("inf"))[~same]
    return float(gaps.max() / first.abs().nan_to_num(0.0, 0.0).max().clamp(min=1e-12))
