"""What every regime shares: freezing, head, loss, optimiser, the budget's phases."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from torch import nn
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.conv_as_matmul import compute_as_convolutions, learn_as_products
from transfer_lab.regimes.optim import RECIPES, RecipeName
from transfer_lab.regimes.parts import Learns, learning_in, norms_in


class UnsuitableBackboneError(ValueError):
    """A backbone lacks what a regime works on; the message says what, and how to leave it out."""

    def __init__(self, regime: str, lacking: str):
        super().__init__(
            f"{regime} is not for this backbone, which has {lacking}: name the backbones it is for "
            "in the regime's entry, on: [...]"
        )


def check_pixels(backbone: Backbone, regime: str, *, twice: bool = False) -> None:
    """Raise UnsuitableBackboneError where images are no pictures; `twice`: or where a layer's
    gradient cannot be differentiated again."""
    if not backbone.sees_pixels:
        raise UnsuitableBackboneError(regime, "token ids in place of pixels")
    if twice and any(isinstance(module, nn.Hardsigmoid) for module in backbone.modules()):
        raise UnsuitableBackboneError(regime, "Hardsigmoid layers, which PyTorch derives but once")


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one set of frozen stages.

    `frozen`: indices of the frozen stages. `lr`, `backbone_lr`: peak learning rates of the head
    and of the stages that learn. `share`: the part of the run's epochs. `learns`: what of the
    other stages learns. `statistics`: whether their normalisation layers go by the batches they
    see and move their running statistics, or by those they have.
    """

    frozen: tuple[int, ...]
    lr: float
    backbone_lr: float
    share: float = 1.0
    learns: Learns = "all"
    statistics: bool = True

    @property
    def prefix(self) -> int:
        """How many leading stages are frozen: their output can be computed once."""
        count = 0
        while count in self.frozen:
            count += 1
        return count


class TransferModule(L.LightningModule, ABC):
    """A backbone and a linear head, learnt by one recipe: an optimiser and its schedule.

    A regime overrides `phases` (what is frozen, how fast the rest learns) and, if it does not take
    all stages from the source, `transferred`; if it has a loss of its own, `loss`. Freezing is
    static within a phase: parameters get `requires_grad = False`, modules stay in eval mode, and
    the optimiser holds exactly the rest.

    A loop that takes many steps in one call of Lightning drives it, and calls `training_step`,
    `on_train_epoch_start` and whatever comes with a validation or after the last step. A regime
    that overrides any other hook of a step or an epoch, `configure_optimizers` among them, or one
    that comes before the first step, as `setup` and `on_train_start` do, or has
    `automatic_optimization` off, is driven by Lightning's own loop: then everything is called as
    Lightning says, at about a millisecond a step.

    Keyword-only constructor arguments are the regime's options in YAML; a constructor that takes
    `**options` and hands them to this one has those of this one, too.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        lr: float = 1e-3,
        weight_decay: float | None = None,
        recipe: RecipeName = "adamw_cosine",
    ):
        super().__init__()
        check_positive(lr=lr)
        self.lr, self.recipe = lr, recipe
        self.weight_decay = _weight_decay(weight_decay, recipe)
        self.backbone = backbone
        self.head = nn.Linear(backbone.num_features, num_classes)
        self.phase: Phase | None = None
        self.entry = 0
        self.steps: float | None = None
        self.train_sums: torch.Tensor | None = None
        self.val_sums: torch.Tensor | None = None
        self.test_outputs: list[torch.Tensor] = []
        self.tested: list[torch.Tensor] = []

    @property
    def transferred(self) -> int:
        """How many leading stages start from the source's weights."""
        return len(self.backbone.stages)

    @property
    def transferred_stages(self) -> tuple[int, ...]:
        """Indices of the stages that start from the source's weights."""
        return tuple(range(self.transferred))

    @abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """The phases of a fit, in order; their shares add up to 1."""

    def observe(self, labels: torch.Tensor) -> None:
        """See the training labels once, before the first phase."""

    def meet(self, classes: Mapping[str, int]) -> None:
        """Make what the regime has beside backbone and head, once the stages hold the weights they
        start from; `classes`: how many each labelled stream has, by role."""

    def merge(self) -> None:
        """Fold what was added to the stages into their weights, once all is learnt: their tensors
        are then those of the backbone as it was built."""

    def learn_from(self, role: str, model: TransferModule) -> None:
        """Keep a trained model that the regime draws on, in eval mode and without gradients; raises
        ValueError where it has no use for one."""
        raise ValueError(f"{type(self).__name__} has no use for a {role}")

    def start_head(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Take over the head of the source's model: weight (classes, features), bias (classes).

        Raises ValueError where it is of another shape.
        """
        if weight.shape != self.head.weight.shape:
            raise ValueError(
                f"the source's head is for {len(weight)} classes and {weight.shape[1]} features, "
                f"but {len(self.head.weight)} and {self.head.in_features} are needed"
            )
        with torch.no_grad():
            self.head.weight.copy_(weight)
            self.head.bias.copy_(bias)

    def begin(self, phase: Phase, *, entry: int = 0, steps: float | None = None) -> None:
        """Freeze as the phase says; inputs will be images, or the output of stage `entry - 1`.

        `steps` that the phase will take, for its schedule: infinite if it has no known end, a
        Trainer's count unless given. Raises ValueError if a stage is to be frozen that is not
        there, or inputs would skip a stage that learns.
        """
        check_stages(self, [phase])
        if entry > phase.prefix:
            raise ValueError(f"inputs enter at stage {entry}, but only {phase.prefix} are frozen")
        self.phase, self.entry, self.steps = phase, entry, steps
        for index, stage in enumerate(self.backbone.stages):
            learns = index not in phase.frozen
            stage.requires_grad_(learns and phase.learns == "all")
            for parameter in learning_in(stage, phase.learns) if learns else ():
                parameter.requires_grad_(True)
            (learn_as_products if learns else compute_as_convolutions)(stage)
        self.train()

    def train(self, mode: bool = True) -> TransferModule:
        """As usual, except that frozen stages stay in eval mode, and normalisation layers whose
        statistics do not move."""
        super().train(mode)
        if self.phase:
            for index in self.phase.frozen:
                self.backbone.stages[index].eval()
            if not self.phase.statistics:
                for layer in norms_in(self.backbone.stages):
                    layer.eval()
        return self

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (batch, num_classes)."""
        return self.head(self.backbone(inputs, start=self.entry))

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """What training makes small, of a batch; validation and test go by the cross-entropy."""
        return F.cross_entropy(logits, labels)

    def on_train_epoch_start(self) -> None:
        self.train_sums = torch.zeros(3, device=self.device)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        inputs, labels = batch
        logits = self(inputs)
        loss = self.loss(logits, labels)
        self.train_sums += sums(loss, logits, labels)
        return loss

    def on_validation_epoch_start(self) -> None:
        self.val_sums = torch.zeros(3, device=self.device)

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        inputs, labels = batch
        logits = self(inputs)
        self.val_sums += sums(F.cross_entropy(logits, labels), logits, labels)

    def test_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        self.sample(batch[0])
        self.test_outputs.append(self(batch[0]).float().cpu())

    def sample(self, inputs: torch.Tensor) -> None:
        """Keep some of a test batch's inputs in `tested`."""
        # About a batch in all, from everywhere: folders list one class after the other.
        # Copied: a view would keep the whole batch, and so in the end the whole test set.
        self.tested.append(inputs[:: self.trainer.num_test_batches[0]].clone())

    def located_scores(
        self, train: Mapping[str, torch.Tensor], test: Mapping[str, torch.Tensor]
    ) -> Mapping[str, float]:
        """Once tested: further columns of the record, of how well it finds what is known of the
        test images beside their classes, and what those of training say without a look at them;
        annotations in the images' order, by kind. Nothing where it learns no annotations."""
        return {}

    def configure_optimizers(self) -> dict[str, Any]:
        """The recipe on what learns; the head and the backbone each at their own peak rate."""
        steps = max(1, self.steps or self.trainer.estimated_stepping_batches)
        recipe = RECIPES[self.recipe]
        optimizer, schedule = recipe(self.parameter_groups(), self.weight_decay, steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def parameter_groups(self) -> list[dict[str, object]]:
        """What learns in this phase at its peak rates: the head and what a regime adds to it, and
        the stages."""
        # One group for all stages: every group has its own calls, at every step.
        stages = [
            parameter
            for index, stage in enumerate(self.backbone.stages)
            if index not in self.phase.frozen
            for parameter in stage.parameters()
            if parameter.requires_grad
        ]
        groups = [{"params": list(self.beside_stages()), "lr": self.phase.lr}]
        return [*groups, {"params": stages, "lr": self.phase.backbone_lr}] if stages else groups

    def beside_stages(self) -> Iterator[nn.Parameter]:
        """What learns and is of no stage: the head first, and whatever modules a regime adds."""
        for name, parameter in self.named_parameters():
            if parameter.requires_grad and not name.startswith("backbone."):
                yield parameter


def check_stages(regime: TransferModule, phases: Iterable[Phase]) -> None:
    """Raise ValueError where a phase freezes, or the regime transfers, a stage that the backbone
    does not have."""
    depth = len(regime.backbone.stages) if regime.backbone is not None else 0
    for phase in phases:
        absent = sorted(index for index in phase.frozen if index not in range(depth))
        if absent:
            raise ValueError(
                f"{type(regime).__name__} freezes the stages {_listed(phase.frozen)}, but this "
                f"backbone has {depth}, counted from 0: there is no stage {_listed(absent)}"
            )
    if not 0 <= regime.transferred <= depth:
        raise ValueError(
            f"{type(regime).__name__} takes {regime.transferred} stages from the source, but this "
            f"backbone has {depth}"
        )
    if absent := sorted(set(regime.transferred_stages) - {*range(depth)}):
        raise ValueError(
            f"{type(regime).__name__} takes the stages {_listed(regime.transferred_stages)} from "
            f"the source, but this backbone has {depth}, counted from 0: there is no stage "
            f"{_listed(absent)}"
        )


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def check_positive(**values: float) -> None:
    """Raise ValueError naming the option that is not a positive, finite number."""
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a positive number, but is {value}")


def sums(loss: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Summed loss, number of right answers, number of examples; no synchronisation."""
    right = (logits.argmax(1) == labels).sum()
    count = torch.full_like(right, len(labels))
    return torch.stack([loss.detach().float() * count, right.float(), count.float()])


def _weight_decay(given: float | None, recipe: str) -> float:
    """What the recipe is to decay weights by: 1e-4 unless said, and nothing where it has none."""
    if given is None:
        return 1e-4 if recipe == "adamw_cosine" else 0.0
    if recipe != "adamw_cosine":
        raise ValueError(f"recipe {recipe} has no weight decay: leave weight_decay out")
    if not 0 <= given < math.inf:
        raise ValueError(f"weight_decay must be 0 or more, and finite; it is {given}")
    return given
