"""Train a head of several layers on frozen source features."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import nn

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase, TransferModule, check_positive

_ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


class MLPProbe(TransferModule):
    """All stages come from the source and stay frozen; a multilayer perceptron on them learns.

    Options: `units` and `activations` of its hidden layers; `dropout`: share of each hidden
    layer's outputs that training drops.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        units: Sequence[int] = (1000, 500, 150),
        activations: Sequence[str] = ("relu", "sigmoid", "sigmoid"),
        dropout: float = 0.0,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        check_positive(**{f"units[{i}]": count for i, count in enumerate(units)})
        unknown = sorted(set(activations) - set(_ACTIVATIONS))
        if unknown or len(activations) != len(units):
            raise ValueError(
                f"activations must name one of {', '.join(_ACTIVATIONS)} for each of the "
                f"{len(units)} hidden layers, but are {', '.join(activations)}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), not {dropout}")
        sizes = [backbone.num_features, *units]
        hidden = [
            layer
            for (before, after), name in zip(pairwise(sizes), activations, strict=True)
            for layer in (nn.Linear(before, after), _ACTIVATIONS[name](), nn.Dropout(dropout))
        ]
        self.head = nn.Sequential(*hidden, nn.Linear(sizes[-1], num_classes))

    def phases(self) -> tuple[Phase, ...]:
        every_stage = tuple(range(len(self.backbone.stages)))
        return (Phase(frozen=every_stage, lr=self.lr, backbone_lr=self.lr),)
