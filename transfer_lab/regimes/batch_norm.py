"""Layers whose statistics are those of the images that they have seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import UnsuitableBackboneError


def batch_norms(module: nn.Module) -> list[_BatchNorm]:
    """Batch normalisation with running statistics, in order."""
    return [
        layer
        for layer in module.modules()
        if isinstance(layer, _BatchNorm) and layer.running_mean is not None
    ]


def stages_without(backbone: Backbone, method: str) -> tuple[int, ...]:
    """The indices of the stages that have no batch normalisation; raises UnsuitableBackboneError
    where no stage has one."""
    found = tuple(i for i, stage in enumerate(backbone.stages) if not batch_norms(stage))
    if len(found) == len(backbone.stages):
        raise UnsuitableBackboneError(method, "no batch normalisation")
    return found


@contextmanager
def statistics_held(module: nn.Module) -> Iterator[None]:
    """Meanwhile batches are normalised as ever, but leave no trace in running statistics."""
    layers = batch_norms(module)
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
