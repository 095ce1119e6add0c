"""Find the box of the image's object with a second head, beside its class."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from transfer_lab.regimes.weights.dense import DenseModule

_BETA = 0.1
"""A tenth of the image's side, from which a miss is no longer squared."""
_SPREAD = 0.001
"""Of the first weights, as in Fast R-CNN: a sigmoid of large features would be saturated."""


class Detection(DenseModule):
    """Fine-tuning with a head for the class and a head for the box of the one object:
    cross-entropy + weight (sum_i smooth_L1(b_i - t_i) + 1 - GIoU(b, t)), i over left, top, right
    and bottom in parts of the image's side (Girshick 2015, "Fast R-CNN", eq. 1 to 3, with smooth L1
    squared below 0.1; Rezatofighi et al. 2019, "Generalized Intersection over Union", alg. 1). The
    head gives centre and size, each through a sigmoid, so that no box is turned inside out. For
    domains that know `boxes`.

    Options: `weight`: the box's part of the loss, 0 to switch it off; `start`: `source`, or
    `random` for stages drawn as from scratch; `k`, `backbone_lr`: as `multi_task` has them.
    """

    annotation = "boxes"

    def meet(self, classes: Mapping[str, int]) -> None:
        """Make the head for boxes."""
        self.locator = nn.Linear(self.backbone.num_features, 4)
        nn.init.normal_(self.locator.weight, std=_SPREAD)
        nn.init.zeros_(self.locator.bias)

    def answer(self, features: torch.Tensor) -> torch.Tensor:
        centre, size = self.locator(features).float().sigmoid().chunk(2, dim=1)
        return torch.cat([centre - size / 2, centre + size / 2], dim=1)

    def miss(self, answers: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        apart = F.smooth_l1_loss(answers, known, beta=_BETA, reduction="none").sum(1)
        return (apart + 1 - generalised_iou(answers, known)).mean()

    def decided(self, answers: torch.Tensor) -> torch.Tensor:
        return answers

    def overlap(self, found: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        return box_iou(found, known)

    def constant(self, known: torch.Tensor) -> torch.Tensor:
        return known.mean(0, keepdim=True)


def box_iou(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """(n,): intersection over union of boxes (n, 4) of left, top, right and bottom, pair by pair;
    0 where both are empty."""
    shared, whole = _areas(one, other)
    return shared / whole.clamp(min=torch.finfo(whole.dtype).tiny)


def generalised_iou(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """(n,): IoU less the part of the smallest box around both that neither covers."""
    _, whole = _areas(one, other)
    around = _area(torch.minimum(one[:, :2], other[:, :2]), torch.maximum(one[:, 2:], other[:, 2:]))
    return box_iou(one, other) - 1 + whole / around.clamp(min=torch.finfo(whole.dtype).tiny)


def _areas(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of intersection and union."""
    shared = _area(torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:]))
    return shared, _area(one[:, :2], one[:, 2:]) + _area(other[:, :2], other[:, 2:]) - shared


def _area(start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    return (end - start).clamp(min=0).prod(1)
