"""A trained classifier of images, whatever it was trained by: backbone and linear head."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.conv_as_matmul import compute_as_convolutions
from transfer_lab.experiment.choices import Architecture

HEAD = "head"
_NET = "net."


@dataclass(frozen=True)
class Trained:
    """What is written. `network`: its name as the lab writes it. `weight` (classes, features) and
    `bias` (classes) of the head, by which softmax gives calibrated probabilities where they were
    calibrated. `options`: of the regime that trained it."""

    classes: tuple[str, ...]
    network: str
    architecture: Architecture
    backbone: Backbone
    weight: Tensor
    bias: Tensor
    image_size: int
    options: Mapping[str, Any]
    shaped_by: dict[str, Any] | None = None
    """The regime, where it may have left stages out."""

    @cached_property
    def classifier(self) -> Classifier:
        """The network as one module in eval mode, its tensors its own."""
        return Classifier(self.backbone, self.weight, self.bias)


class Classifier(nn.Module):
    """Images (n, size, size, 3), uint8, to probabilities (n, classes) and features (n, features):
    everything between a decoded file and its answer, normalisation included."""

    def __init__(self, backbone: Backbone, weight: Tensor, bias: Tensor):
        super().__init__()
        self.backbone = copy.deepcopy(backbone).cpu().float().eval()
        compute_as_convolutions(self.backbone)
        self.head = nn.Linear(weight.shape[1], weight.shape[0])
        self.head.load_state_dict({"weight": weight.float(), "bias": bias.float()})
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.backbone(images.permute(0, 3, 1, 2))
        return self.head(features).softmax(1), features


def own_names(backbone: Backbone) -> dict[str, str]:
    """The names of the stages' tensors in `stages.state_dict()` -> those that the network's own
    library gives them; the stages' where it is of no library."""
    return {
        key: own.removeprefix(_NET) if (own := key.partition(".")[2]).startswith(_NET) else key
        for key in backbone.stages.state_dict()
    }


def tensors(trained: Trained, head: str = HEAD) -> dict[str, Tensor]:
    """All tensors under the network's own names, the linear head's under `head`."""
    state = trained.backbone.stages.state_dict()
    found = {name: state[key] for key, name in own_names(trained.backbone).items()}
    found |= {f"{head}.weight": trained.weight, f"{head}.bias": trained.bias}
    return {name: value.detach().cpu().contiguous() for name, value in found.items()}


def noise(size: int) -> Tensor:
    """An image (1, size, size, 3), uint8, on which two forms of a network are compared."""
    drawn = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8, generator=drawn)
