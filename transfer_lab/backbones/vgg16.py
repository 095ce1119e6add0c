"""VGG16 (Simonyan & Zisserman 2015), configuration D, in torchvision's layers."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torchvision import models
from torchvision.models.vgg import cfgs, make_layers

from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.hub import HubFile

_CONVOLUTIONS = cfgs["D"]
_DENSE, _GRID = 4096, 7
_COUNTED_BY_KERAS = (nn.Conv2d, nn.MaxPool2d, nn.Flatten, nn.Linear)


class VGG16(Backbone):
    """Five convolutional stages, each ended by its max pooling, and what stands on top of them.

    Options: `top`: `dense`, torchvision's two hidden dense layers as a sixth stage; `pooled`, the
    last map averaged; `flat`, the last map as one vector. `batch_norm`: torchvision's
    vgg16_bn. `width`: factor on all channel and unit counts, for small machines. `cut`: one more
    stage boundary, so that the stages before it hold `model.layers[:cut]` of Keras' VGG16.
    `grid`: side of the last map as `dense` and `flat` see it; torchvision averages or repeats it to
    7 x 7, and of small images, whose last map is smaller, repeats are all there would be.
    `dropout`: share of the dense layers' outputs that training drops.
    With `top: dense` and no other option the parameters are torchvision's vgg16 without its last
    layer.

    Pooling rounds up, which differs from torchvision at sizes that are not multiples of 32 alone,
    and lets the five poolings fit images under 32 pixels.
    """

    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        image_size: int,
        *,
        width: float = 1.0,
        batch_norm: bool = False,
        top: Literal["dense", "pooled", "flat"] = "dense",
        cut: int | None = None,
        grid: int = _GRID,
        dropout: float = 0.5,
    ):
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), not {dropout}")
        if not 1 <= grid <= _GRID:
            raise ValueError(f"grid must lie in 1 to {_GRID}, not {grid}")
        if not 0 < width <= 4:
            raise ValueError(f"width must lie in (0, 4], not {width}")
        config = [c if c == "M" else max(1, round(c * width)) for c in _CONVOLUTIONS]
        layers = make_layers(config, batch_norm=batch_norm)
        stages, self._names = _divide(layers, cut)
        channels = max(1, round(512 * width))
        num_features = channels * (grid**2 if top == "flat" else 1)
        if top == "dense":
            num_features = max(1, round(_DENSE * width))
            stages.append(_dense_stage(channels, num_features, grid, dropout))
            self._names |= {f"classifier.{n}": f"{len(stages) - 1}.{n + 2}" for n in (0, 3)}
        else:
            stages[-1].extend([nn.AdaptiveAvgPool2d(1 if top == "pooled" else grid), nn.Flatten()])
        self._full = width == 1 and (top != "dense" or grid == _GRID)
        self._batch_norm = batch_norm
        super().__init__(stages, num_features)

    @property
    def published(self) -> HubFile | None:
        """torchvision's ImageNet-1k weights; there are none for another width or grid."""
        weights = models.VGG16_BN_Weights if self._batch_norm else models.VGG16_Weights
        return HubFile(weights.IMAGENET1K_V1.url) if self._full else None

    @property
    def keras_layers(self) -> tuple[int, ...]:
        """For each stage, the n for which `model.layers[:n]` of Keras' VGG16 ends where it does."""
        counts, total = [], 1  # the first of them is the input
        for stage in self.stages:
            total += sum(isinstance(module, _COUNTED_BY_KERAS) for module in stage.modules())
            counts.append(total)
        return tuple(counts)

    def translate(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        own = {}
        for key, value in state.items():
            module, _, kind = key.rpartition(".")
            own[f"{self._names[module]}.{kind}" if module in self._names else key] = value
        return super().translate(own)


def _divide(layers: nn.Sequential, cut: int | None) -> tuple[list[nn.Sequential], dict[str, str]]:
    """Stages ended by their pooling, and by `cut`; torchvision's name of each layer -> ours."""
    stages, names, keras = [nn.Sequential()], {}, 1
    for number, layer in enumerate(layers):
        counted = isinstance(layer, _COUNTED_BY_KERAS)
        if counted and keras == cut and len(stages[-1]):
            stages.append(nn.Sequential())
        keras += counted
        names[f"features.{number}"] = f"{len(stages) - 1}.{len(stages[-1])}"
        stages[-1].append(layer)
        if isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = True
            stages.append(nn.Sequential())
    if cut is not None and not 1 < cut <= keras:
        raise ValueError(f"cut={cut}, but the convolutional layers of Keras' VGG16 end at {keras}")
    return stages[:-1], names


def _dense_stage(channels: int, units: int, grid: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(grid),
        nn.Flatten(),
        nn.Linear(channels * grid**2, units),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(units, units),
        nn.ReLU(),
        nn.Dropout(dropout),
    )
