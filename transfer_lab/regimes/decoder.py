"""From features to maps: the half of an autoencoder that is no backbone."""

from __future__ import annotations

from torch import nn

_DOUBLINGS = 3


def decoder(features: int, size: int, channels: int, width: int) -> nn.Sequential:
    """Three transposed convolutions from vectors (n, features) to maps (n, channels, s, s), with s
    the first multiple of 8 that is not below `size`; `width`: channels of the first maps.

    Raises ValueError where the width could not be halved twice.
    """
    if width < 4:
        raise ValueError(f"width must be 4 or more, but is {width}")
    side = -(-size // 2**_DOUBLINGS)
    widths = [width // 2**step for step in range(_DOUBLINGS)]
    layers: list[nn.Module] = [
        nn.Linear(features, width * side**2),
        nn.ReLU(),
        nn.Unflatten(1, (width, side, side)),
    ]
    for before, after in zip(widths, [*widths[1:], channels], strict=True):
        layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
