"""Find the pixels of the image's object with a decoder on the features, beside its class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.decoder import decoder
from transfer_lab.regimes.weights.dense import DenseModule

_SHARES = 20


class EncoderDecoder(DenseModule):
    """The stages of a network that has learnt classes become an encoder, and a new decoder makes
    maps p = decoder(f(x)) of its features: cross-entropy + weight (BCE(p, m) + 1 - Dice(p, m)),
    with BCE the mean over pixels and Dice 2 sum p m / (sum p^2 + sum m^2) of an image (after Zhuang
    et al. 2015, "Supervised Representation Learning: Transfer Learning with Deep Autoencoders",
    where source and target share the encoder; Milletari et al. 2016, "V-Net", sec. 3, without whose
    Dice few set pixels are answered by none). Source and target are heterogeneous: the source's
    task gives a class, the target's a map of another shape. For domains that know `masks`.

    Options: `weight`: the mask's part of the loss, 0 to switch it off; `width`: channels of the
    decoder's first maps; `start`: `source`, or `random` for an encoder drawn as from scratch; `k`,
    `backbone_lr`: as `multi_task` has them.
    """

    annotation = "masks"

    def __init__(self, backbone: Backbone, num_classes: int, *, width: int = 32, **options: Any):
        super().__init__(backbone, num_classes, **options)
        self.width = width

    def meet(self, classes: Mapping[str, int]) -> None:
        """Make the decoder."""
        features, size = self.backbone.num_features, self.backbone.image_size
        self.locator = decoder(features, size, channels=1, width=self.width)

    def answer(self, features: torch.Tensor) -> torch.Tensor:
        size = self.backbone.image_size
        return self.locator(features)[:, 0, :size, :size].float()

    def miss(self, answers: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        wanted = known.to(answers.dtype)
        return (
            F.binary_cross_entropy_with_logits(answers, wanted) + 1 - dice(answers, wanted).mean()
        )

    def decided(self, answers: torch.Tensor) -> torch.Tensor:
        return (answers > 0).byte()

    def overlap(self, found: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        return mask_iou(found, known)

    def constant(self, known: torch.Tensor) -> torch.Tensor:
        """The pixels that are set in so large a share of the masks as covers these best."""
        often = known.float().mean(0, keepdim=True)
        levels = torch.arange(_SHARES) / _SHARES
        tried = [(often > level).byte() for level in levels]
        return max(tried, key=lambda mask: mask_iou(mask, known).mean().item())


def dice(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """(n,): the Dice coefficient of soft masks, given as logits, with masks of 0 and 1."""
    soft = logits.sigmoid()
    squares = soft.square().flatten(1).sum(1) + masks.square().flatten(1).sum(1)
    return 2 * (soft * masks).flatten(1).sum(1) / squares.clamp(min=torch.finfo(squares.dtype).tiny)


def mask_iou(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """(n,): intersection over union of masks (n, size, size) of 0 and 1, pair by pair; 1 where both
    are empty."""
    shared = (one & other).flatten(1).sum(1)
    whole = (one | other).flatten(1).sum(1)
    return torch.where(whole > 0, shared / whole.clamp(min=1), 1.0)
