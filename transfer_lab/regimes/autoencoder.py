"""Pretrain by giving an image back from its features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.pretext import PretextModule

_DOUBLINGS = 3


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
        size = self.backbone.image_size
        side = -(-size // 2**_DOUBLINGS)
        channels = [self.width // 2**step for step in range(_DOUBLINGS)]
        layers: list[nn.Module] = [
            nn.Linear(self.backbone.num_features, self.width * side**2),
            nn.ReLU(),
            nn.Unflatten(1, (self.width, side, side)),
        ]
        for before, after in zip(channels, [*channels[1:], 3], strict=True):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        self.decoder = nn.Sequential(*layers[:-1])

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
