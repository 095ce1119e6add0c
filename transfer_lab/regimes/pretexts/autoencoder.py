"""Pretrain by giving an image back from its features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.decoder import decoder
from transfer_lab.regimes.pretext import PretextModule


class Autoencoder(PretextModule):
    """The stages are the encoder; a decoder of three transposed convolutions gives the normalised
    image x back from its features f(x): the loss is the mean of (decoder(f(x)) - x)^2 over pixels.

    Options: `width`: channels of the decoder's first maps.
    """

    def __init__(self, backbone: Backbone, num_classes: int, *, width: int = 32, **options: Any):
        super().__init__(backbone, num_classes, **options)
        if width < 4:
            raise ValueError(f"width must be 4 or more, but is {width}")
        self.width = width

    def meet(self, classes: Mapping[str, int]) -> None:
        """Make the decoder."""
        features, size = self.backbone.num_features, self.backbone.image_size
        self.decoder = decoder(features, size, channels=3, width=self.width)

    def task(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        given = self.decoder(self.backbone(self.spoilt(images)))
        wanted = self.backbone.prepare(images)
        loss = F.mse_loss(given[..., : wanted.shape[2], : wanted.shape[3]], wanted)
        return loss, torch.zeros_like(loss)

    def spoilt(self, images: torch.Tensor) -> torch.Tensor:
        """What the encoder sees of the images."""
        return images


class Denoising(Autoencoder):
    """An autoencoder that sees images with a share of their pixels set to 0, and gives back the
    whole ones (Vincent et al. 2008, "Extracting and Composing Robust Features with Denoising
    Autoencoders", sec. 2.3).

    Options: `share`: of the pixels that are set to 0; `width`: as for `autoencoder`.
    """

    def __init__(
        self, backbone: Backbone, num_classes: int, *, share: float = 0.25, **options: Any
    ):
        super().__init__(backbone, num_classes, **options)
        if not 0 < share < 1:
            raise ValueError(f"share must lie between 0 and 1, but is {share}")
        self.share = share

    def spoilt(self, images: torch.Tensor) -> torch.Tensor:
        kept = torch.rand(len(images), 1, *images.shape[2:], device=images.device) >= self.share
        return images * kept.to(images.dtype)
