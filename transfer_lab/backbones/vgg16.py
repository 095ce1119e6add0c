"""VGG16 (Simonyan & Zisserman 2015), configuration D, in torchvision's layers."""

from __future__ import annotations

from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from transfer_lab.backbones.base import Backbone

_CONVOLUTIONS = cfgs["D"]
_DENSE = 4096


class VGG16(Backbone):
    """Five convolutional stages, each ended by its max pooling, and torchvision's dense stage.

    Options: `batch_norm`: torchvision's vgg16_bn; `dense`: whether the two hidden dense layers are
    a sixth stage (without them the last map is averaged); `width`: factor on all channel and unit
    counts, for small machines. With all of them at their defaults the parameters are torchvision's
    vgg16 without its last layer.

    Pooling rounds up, which differs from torchvision at sizes that are not multiples of 32 alone,
    and lets the five poolings fit images under 32 pixels.
    """

    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self, image_size: int, *, width: float = 1.0, batch_norm: bool = False, dense: bool = True
    ):
        if not 0 < width <= 4:
            raise ValueError(f"width must lie in (0, 4], not {width}")
        config = [c if c == "M" else max(1, round(c * width)) for c in _CONVOLUTIONS]
        stages = _split_at_pooling(make_layers(config, batch_norm=batch_norm))
        channels = max(1, round(512 * width))
        if dense:
            units = max(1, round(_DENSE * width))
            stages.append(_dense_stage(channels, units))
            super().__init__(stages, num_features=units)
        else:
            stages[-1].extend([nn.AdaptiveAvgPool2d(1), nn.Flatten()])
            super().__init__(stages, num_features=channels)


def _split_at_pooling(layers: nn.Sequential) -> list[nn.Sequential]:
    stages = [nn.Sequential()]
    for layer in layers:
        stages[-1].append(layer)
        if isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = True
            stages.append(nn.Sequential())
    return stages[:-1]


def _dense_stage(channels: int, units: int) -> nn.Sequential:
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(7),
        nn.Flatten(),
        nn.Linear(channels * 49, units),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(units, units),
        nn.ReLU(),
        nn.Dropout(),
    )
