"""What each network of an experiment has to compute: counted on networks without memory."""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.counting import parameter_count
from transfer_lab.experiment.choices import Architecture, Choice
from transfer_lab.regimes.base import Phase, TransferModule
from transfer_lab.regimes.build import regime_class

_CLASSES = 2


@dataclass(frozen=True)
class Network:
    """A backbone: multiply-accumulates of each stage on one image, numbers in the output of each
    stage and in those of all layers, and parameters."""

    macs: tuple[int, ...]
    outputs: tuple[int, ...]
    activations: int
    parameters: int

    @property
    def total(self) -> int:
        """Multiply-accumulates of one image's forward pass."""
        return sum(self.macs)


@dataclass(frozen=True)
class Method:
    """A regime on a backbone: its phases, and how many stages of the backbone it uses."""

    phases: tuple[Phase, ...]
    depth: int


def network(choice: Architecture, image_size: int) -> Network:
    """Count one backbone's operations."""
    with torch.device("meta"):
        backbone = build_backbone(choice, image_size).eval()
        images = torch.zeros(1, 3, image_size, image_size, dtype=torch.uint8)
    sizes: list[int] = []
    for module in backbone.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _m, _i, output: sizes.append(_numbers(output)))
    macs, outputs = [], []
    with torch.no_grad():
        found = backbone.prepare(images)
        for stage in backbone.stages:
            with FlopCounterMode(display=False) as counter:
                found = stage(found)
            macs.append(counter.get_total_flops() // 2)
            outputs.append(_numbers(found))
    return Network(tuple(macs), tuple(outputs), sum(sizes), parameter_count(backbone))


def method(regime: Choice, backbone: Backbone) -> Method:
    """What a regime does on a backbone, which may have no memory; the backbone is left as it is."""
    with torch.device("meta"):
        module = regime_class(regime)(copy.deepcopy(backbone), _CLASSES, **regime.options)
    if not module.phases():  # it may have no backbone, either
        return Method((), 0)
    return Method(module.phases(), stages_used(module, backbone))


def stages_used(regime: TransferModule, backbone: Backbone) -> int:
    """How many leading stages of the backbone a regime uses: it may leave the last ones out, and
    put something else in their place."""
    pairs = zip(regime.backbone.stages, backbone.stages, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: repr(pair[0]) == repr(pair[1]), pairs))


def _numbers(output: object) -> int:
    return math.prod(output.shape) if isinstance(output, torch.Tensor) else 0
