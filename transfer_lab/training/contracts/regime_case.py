"""A regime under test: as it is built, where its phases begin, and watched at every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn

from transfer_lab.backbones.base import Backbone
from transfer_lab.data.base import ImageDomain
from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.catalog import REGIMES, RegimeEntry
from transfer_lab.experiment.declared import FACTS, entry_of
from transfer_lab.regimes.base import (
    Phase,
    TransferModule,
)
from transfer_lab.training.contracts.cases import (
    State,
    arguments,
    options_of,
    stage_of,
    state,
)
from transfer_lab.training.contracts.surroundings import accompanied, surround
from transfer_lab.training.contracts.toys import Leaky, drawn

BUDGET = Fit(epochs=4, batch_size=8)
CLASSES = 4
LR = 0.02
EPOCHS = {True: 25, False: 100}
"""Enough to learn the toy: at the rate above, or at a rate of the regime's own choice."""


@dataclass(frozen=True)
class RegimeCase:
    """A regime with the options it is checked with, and what is said of it."""

    cls: type[TransferModule]
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def entry(self) -> RegimeEntry:
        """What the registry says of one of the lab's own, or the class of itself."""
        for entry in REGIMES.values():
            module, _, name = entry.path.partition(":")
            if (f"{REGIMES.package}.{module}", name) == (self.cls.__module__, self.cls.__name__):
                return entry
        facts = {name: vars(self.cls)[name] for name in FACTS if name in vars(self.cls)}
        return entry_of(self.cls.__name__, facts)

    @property
    def takes_lr(self) -> bool:
        """Whether its learning rate can be set."""
        return "lr" in options_of(self.cls)

    def drawn(self, domain: ImageDomain | None = None, **how: int) -> ImageDomain:
        """The toy, or another domain, drawn, with all that the regime sees beside it."""
        return accompanied(drawn(domain, **how), self.entry)

    def build(
        self,
        backbone: Backbone | None = None,
        *,
        seed: int = 0,
        started: bool = True,
        **more: object,
    ) -> TransferModule:
        """The regime at step 0 on a toy backbone, or on another; `started`: with what it draws on
        beside the weights of its stages."""
        torch.manual_seed(seed)
        backbone = backbone or Leaky()
        torch.manual_seed(seed + 1)
        given = arguments(self.cls, {**self.options, **more})
        regime = self.cls(backbone, CLASSES, **given)
        torch.manual_seed(seed + 3)
        if started:
            surround(regime, self.entry, started=started)
        torch.manual_seed(seed + 2)
        return regime

    def learner(self) -> tuple[TransferModule, int]:
        """The regime, and epochs that must be enough to learn the toy."""
        more = {"lr": LR} if self.takes_lr else {}
        return self.build(**more), EPOCHS[self.takes_lr]


class Begun(NamedTuple):
    """A regime where a phase begins, or where the last one has ended."""

    phase: Phase | None
    stages: State
    head: State
    learns: frozenset[str]
    head_learns: frozenset[str]

    @classmethod
    def of(cls, phase: Phase | None, regime: TransferModule) -> Begun:
        """As the regime is now."""
        stages, head = regime.backbone.stages, regime.head
        return cls(phase, state(stages), state(head), learning(stages), learning(head))

    def is_frozen(self, key: str) -> bool | None:
        """Whether a stage's tensor must stay as it is, or must change; None for the statistics of a
        stage of which only a part learns: some methods move them and some do not."""
        stage = stage_of(key)
        if stage in self.phase.frozen:
            return True
        own = {name for name in self.stages if stage_of(name) == stage}
        if key in self.parameters:
            return key not in self.learns
        return False if own & self.parameters <= self.learns else None

    @property
    def parameters(self) -> set[str]:
        """The stages' tensors that are no statistics."""
        ends = ("running_mean", "running_var", "num_batches_tracked")
        return {name for name in self.stages if not name.endswith(ends)}


def learning(module: nn.Module) -> frozenset[str]:
    """Names of the parameters that learn."""
    return frozenset(name for name, p in module.named_parameters() if p.requires_grad)


class Watch:
    """What frozen stages and optimiser are like before and after each training step's forward
    pass, and all stages before the first one; it overrides no hook, so that the regime is trained
    as it would be unwatched."""

    def __init__(self, regime: TransferModule):
        self.regime, self.looks = regime, 0
        self.faults: dict[str, None] = {}
        self.first: State = {}
        self._step = regime.training_step
        regime.training_step = self._watched

    def _watched(self, batch: object, index: int) -> object:
        self.first = self.first or state(self.regime.backbone.stages)
        self._look()
        loss = self._step(batch, index)
        self._look()
        self.looks += 1
        return loss

    def _look(self) -> None:
        frozen = [self.regime.backbone.stages[i] for i in self.regime.phase.frozen]
        if any(module.training for stage in frozen for module in stage.modules()):
            self.faults["a frozen stage is in training mode"] = None
        if any(p.requires_grad or p.grad is not None for s in frozen for p in s.parameters()):
            self.faults["a frozen parameter has a gradient"] = None
        held = {
            id(p)
            for optimizer in self.regime.trainer.optimizers
            for group in optimizer.param_groups
            for p in group["params"]
        }
        if held != {id(p) for p in self.regime.parameters() if p.requires_grad}:
            self.faults["the optimiser does not hold exactly what learns"] = None
