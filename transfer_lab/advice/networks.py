"""Pretrained networks that can be advised on: by a short name, timm's or torchvision's name, or a
file of weights."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """A network with weights that lie on this machine.

    `name`: as the lab writes it, `timm:tf_efficientnet_lite0`; `short`: as a person may, `lite0`.
    `image_size`: what its weights were trained at. `sha256`: of its weights.
    """

    name: str
    short: str
    image_size: int
    licence: str
    source: str
    sha256: str
