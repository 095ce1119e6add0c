"""Pretrain by telling how an image was turned."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from transfer_lab.regimes.pretext import PretextModule

_TURNS = 4


class Rotation(PretextModule):
    """The network learns which of four quarter turns each image has been given; all four of an
    image are in a batch (Gidaris et al. 2018, "Unsupervised Representation Learning by Predicting
    Image Rotations", eq. 2-3). A step costs as much as one on four times the images.
    """

    def meet(self, classes: Mapping[str, int]) -> None:
        """Make the head that tells the turn."""
        self.turns = nn.Linear(self.backbone.num_features, _TURNS)

    def task(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        turned = torch.cat([torch.rot90(images, turn, (2, 3)) for turn in range(_TURNS)])
        asked = torch.arange(_TURNS, device=images.device).repeat_interleave(len(images))
        answers = self.turns(self.backbone(turned))
        return F.cross_entropy(answers, asked), (answers.argmax(1) == asked).float().mean()
