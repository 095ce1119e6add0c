"""Learn a small layer after each stage, and keep the stages."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import check_positive
from transfer_lab.regimes.parts import Added
from transfer_lab.regimes.weights.added import AddedModule


class Adapters(AddedModule):
    """After each stage h becomes h + U relu(D h), by way of a few units; D starts at random, U at
    0, and the stages stay the source's (Houlsby et al. 2019, "Parameter-Efficient Transfer Learning
    for NLP", sec. 2.1). On maps D and U are 1 x 1 convolutions. Beside them the head learns.

    Options: `width`: units of the bottleneck; `k`: number of leading stages that stay as they are;
    `backbone_lr`: peak rate of D and U.
    """

    def __init__(self, backbone: Backbone, num_classes: int, *, width: int = 16, **options: Any):
        super().__init__(backbone, num_classes, **options)
        check_positive(width=width)
        self.width = width

    def add(self, index: int) -> None:
        backbone = self.backbone
        last = index + 1 == len(backbone.stages)
        shape = (
            (backbone.num_features,)
            if last
            else backbone.output_shape(backbone.image_size, index + 1)
        )
        stage = backbone.stages[index]
        adapter = Adapter(shape, self.width).to(next(stage.parameters()).device)
        backbone.stages[index] = Adapted(stage, adapter)


class Adapter(Added):
    """A residual bottleneck of outputs of that shape, which adds 0 at the start.

    `shape` of one output: (channels, height, width), (tokens, features) or (features,).
    """

    def __init__(self, shape: tuple[int, ...], width: int):
        super().__init__()
        if len(shape) == 3:
            channels = shape[0]
            self.down = nn.Conv2d(channels, width, kernel_size=1)
            self.up = nn.Conv2d(width, channels, kernel_size=1)
        else:
            self.down, self.up = nn.Linear(shape[-1], width), nn.Linear(width, shape[-1])
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, outputs: torch.Tensor) -> torch.Tensor:
        """What is added to the outputs."""
        return self.up(torch.relu(self.down(outputs)))


class Adapted(nn.Module):
    """A stage and the adapter after it."""

    def __init__(self, stage: nn.Module, adapter: Adapter):
        super().__init__()
        self.stage, self.adapter = stage, adapter

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The stage's outputs, adapted."""
        outputs = self.stage(inputs)
        return outputs + self.adapter(outputs)
