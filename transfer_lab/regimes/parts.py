"""Parts of stages: by number, by kind of layer, and those that a regime adds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from torch import nn

from transfer_lab.backbones.base import Backbone

Learns = Literal["all", "norm", "added"]
"""What of a stage that is not frozen learns: everything, scale and shift of its normalisation
layers, or what a regime has added to it."""
NORMS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.LayerNorm, nn.GroupNorm),
)
"""Batch, instance, layer and group normalisation; timm's layers derive from these."""


class Added(nn.Module):
    """A layer that is none of the backbone's: a regime has put it into a stage."""


def learning_in(stage: nn.Module, learns: Learns) -> Iterator[nn.Parameter]:
    """The parameters of a stage that learn."""
    if learns == "all":
        yield from stage.parameters()
    for module in stage.modules():
        if learns == "norm" and isinstance(module, NORMS):
            yield from module.parameters(recurse=False)  # timm's hold their activation, too
        elif learns == "added" and isinstance(module, Added):
            yield from module.parameters()


def norms_in(stage: nn.Module) -> Iterator[nn.Module]:
    """The normalisation layers of a stage."""
    return (module for module in stage.modules() if isinstance(module, NORMS))


def indices_of(backbone: Backbone, stages: Sequence[int]) -> tuple[int, ...]:
    """Indices of stages that are numbered from 1, in order; raises ValueError unless there are
    some, each is there, and none is named twice."""
    depth = len(backbone.stages)
    wrong = [number for number in stages if not 1 <= number <= depth]
    if wrong or not stages or len(set(stages)) < len(stages):
        raise ValueError(
            f"stages={list(stages)}, but this backbone has {depth}: name some of 1 to {depth}, "
            "each once"
        )
    return tuple(sorted(number - 1 for number in stages))
