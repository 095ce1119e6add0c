"""torchvision's classification networks, by name."""

from __future__ import annotations

import torch
from torch import nn
from torchvision import models

from transfer_lab.backbones.hub import HubFile
from transfer_lab.backbones.split_graph import GraphBackbone, checked_name, without_classifier

_CLASSES = 1000
_PROBE = 224
_UNUSUAL = ("googlenet", "inception_v3")
"""They answer with several outputs while training and transform their input inside."""


class Torchvision(GraphBackbone):
    """A network of `torchvision.models`, written `torchvision:resnet50`.

    Options: `name`: the network's name in torchvision.
    """

    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(self, image_size: int, *, name: str):
        names = [n for n in models.list_models(module=models) if n not in _UNUSUAL]
        checked_name(name, names, "torchvision")
        fixed = name.startswith("vit_")
        try:
            model = without_classifier(_model(name, image_size if fixed else None), _CLASSES)
        except ValueError as error:
            raise ValueError(f"torchvision's {name} cannot be a backbone: {error}") from error
        super().__init__(model, image_size if fixed else _PROBE)
        self.name, self.fixed_size = name, fixed
        weights = models.get_model_weights(name).DEFAULT
        self.native_size = weights.transforms.keywords["crop_size"]

    @property
    def published(self) -> HubFile:
        """The default ImageNet-1k weights of the installed torchvision."""
        return self.publishes(name=self.name)

    @classmethod
    def publishes(cls, *, name: str) -> HubFile:
        return HubFile(models.get_model_weights(name).DEFAULT.url)


def _model(name: str, image_size: int | None) -> nn.Module:
    size = {} if image_size is None else {"image_size": image_size}
    try:
        return models.get_model(name, weights=None, **size)
    except NotImplementedError:  # RegNets compute their widths with tensors, also under "meta"
        with torch.device("cpu"):
            return models.get_model(name, weights=None, **size)
