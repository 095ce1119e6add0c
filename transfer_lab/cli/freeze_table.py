"""What each regime freezes on each backbone, stage by stage, before anything runs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import torch
from tabulate import tabulate
from torch import nn

from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.counting import parameter_count
from transfer_lab.cli.tables import table
from transfer_lab.experiment.choices import Architecture, Choice
from transfer_lab.experiment.plan import fits, trials_of
from transfer_lab.experiment.spec import Experiment
from transfer_lab.grid.operations import stages_used
from transfer_lab.regimes.base import TransferModule
from transfer_lab.regimes.build import regime_class

_CLASSES = 2
_FROZEN = "frozen"
_LEARNS = {"all": "learns", "norm": "norm layers learn", "added": "what is added learns"}


def frozen_maps(experiment: Experiment, width: int | None = None) -> Iterator[str]:
    """One table a backbone: stages, layers, parameters, output shapes, and each regime's plan.

    What is wider than `width` has the regimes' plans in a table of its own, a line a regime. Where
    a regime has phases, what it does in them is joined by an arrow; where it is tuned, it is shown
    with the first of its trials.
    """
    for name, choice in experiment.backbones.items():
        with torch.device("meta"):
            backbone = build_backbone(choice, experiment.image_size).eval()
            regimes = {
                regime: _regime(_first_tried(experiment, regime), choice, experiment.image_size)
                for regime in experiment.regimes
                if fits(experiment, name, regime)
            }
        yield _table(choice, backbone, regimes, experiment.image_size, width)


def _first_tried(experiment: Experiment, regime: str) -> Choice:
    """The regime with the first of its trials."""
    choice = experiment.regimes[regime]
    first, *_ = trials_of(experiment, regime) or ({},)
    return choice.with_options(choice.options | first)


def _regime(regime: Choice, choice: Architecture, image_size: int) -> TransferModule:
    backbone = build_backbone(choice, image_size)
    made: Callable[..., TransferModule] = regime_class(regime)  # its own options are unknown here
    return made(backbone, _CLASSES, **regime.options)


def _table(
    choice: Architecture,
    backbone: Backbone,
    regimes: dict[str, TransferModule],
    image_size: int,
    width: int | None,
) -> str:
    keras = backbone.keras_layers
    shapes = _shapes(backbone, image_size)
    rows, plans = [], []
    for index, stage in enumerate(backbone.stages):
        plans.append([_plan(regime, backbone, index) for regime in regimes.values()])
        counted = [f"layers[:{keras[index]}]"] if keras else []
        size, shape = f"{parameter_count(stage):,}", shapes[index]
        rows.append([index + 1, _layers(stage), size, shape, *counted])
    head = ["stage", "layers", "parameters", "output", *(["in Keras"] if keras else [])]
    title = f"{choice.label}, images of {image_size} x {image_size}"
    joined = [[*row, *own] for row, own in zip(rows, plans, strict=True)]
    whole = tabulate(joined, headers=[*head, *regimes], disable_numparse=True)
    if width is not None and max(map(len, whole.splitlines())) > width:
        by_regime = zip(regimes, map(_stages, zip(*plans, strict=True)), strict=True)
        parts = table(rows, head, width), table(list(by_regime), ("regime", "stages"), width)
        whole = "\n\n".join(parts)
    return f"{title}\n{whole}\n{_summary(backbone, regimes)}\n"


def _stages(plans: Sequence[str]) -> str:
    """`1-4 frozen, 5 learns`: stages with the same plan, taken together."""
    parts, first = [], 0
    for plan, group in itertools.groupby(plans):
        last = first + len(list(group))
        if last == len(plans) and not first:
            return plan
        numbers = f"{first + 1}" if last == first + 1 else f"{first + 1}-{last}"
        parts.append(f"{numbers} {plan}")
        first = last
    return ", ".join(parts)


def _shapes(backbone: Backbone, image_size: int) -> list[str]:
    stops = range(1, len(backbone.stages) + 1)
    return [" x ".join(map(str, backbone.output_shape(image_size, stop))) for stop in stops]


def _layers(stage: nn.Module) -> str:
    """`2 Conv2d, 1 MaxPool2d`: what has parameters or makes maps smaller."""
    kinds = Counter(
        type(module).__name__
        for module in stage.modules()
        if not list(module.children())
        and (list(module.parameters()) or "Pool" in type(module).__name__)
    )
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _plan(regime: TransferModule, backbone: Backbone, stage: int) -> str:
    phases = regime.phases()
    if not phases or stage >= stages_used(regime, backbone):
        return "unused"
    steps = [_FROZEN if stage in phase.frozen else _LEARNS[phase.learns] for phase in phases]
    return " → ".join(steps)


def _summary(backbone: Backbone, regimes: dict[str, TransferModule]) -> str:
    """Which stages start from the source, where that is neither all of them nor none."""
    depth = len(backbone.stages)
    notes = []
    for name, regime in regimes.items():
        random = [str(i + 1) for i in range(depth) if i not in regime.transferred_stages]
        if 0 < len(random) < depth and stages_used(regime, backbone) == depth:
            several = f"{random[0]} to {depth}" if len(random) == depth - int(random[0]) + 1 else ""
            notes.append(f"{name}: stages {several or ', '.join(random)} start at random")
    return "\n".join(notes)
