"""Fine-tuning with an objective of its own on features and on what is seen beside the target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any, Literal, NamedTuple

import torch
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase, TransferModule, check_positive, sums
from transfer_lab.regimes.batch_norm import statistics_held


class Seen(NamedTuple):
    """A batch that has gone through the network: inputs as they came, labels (n,) with -1 where
    they are hidden, features (n, num_features) and the head's logits (n, num_classes)."""

    inputs: torch.Tensor
    labels: torch.Tensor
    features: torch.Tensor
    logits: torch.Tensor


class Streams(Mapping[str, Seen]):
    """What is seen beside the target at a step, by role; a batch goes through the network when it
    is first asked for, so that one that is not asked for moves nothing."""

    def __init__(self, regime: ObjectiveModule, batches: Mapping[str, Any]):
        self._regime, self._batches = regime, batches
        self._seen: dict[str, Seen] = {}

    def __getitem__(self, role: str) -> Seen:
        if role not in self._seen:
            # The target's images are what is tested: those of a source leave no trace in running
            # statistics, which would else be of neither.
            held = nullcontext() if role == "unlabelled" else statistics_held(self._regime.backbone)
            with held:
                self._seen[role] = self._regime.look(*self._batches[role])
        return self._seen[role]

    def raw(self, role: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and labels, through no network."""
        inputs, labels = self._batches[role]
        return inputs, labels

    def annotation(self, kind: str) -> torch.Tensor:
        """Boxes (n, 4) or masks (n, size, size) of the target's own images, in their order."""
        return self._batches[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


class ObjectiveModule(TransferModule):
    """Fine-tuning whose loss is a method on features and batches: `objective`.

    Options: `k`: number of leading stages that stay frozen, or `all`; `backbone_lr`: peak rate of
    the others.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        k: int | Literal["all"] = 0,
        backbone_lr: float = 3e-4,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        check_positive(backbone_lr=backbone_lr)
        depth = len(backbone.stages)
        if k != "all" and not 0 <= k <= depth:
            raise ValueError(f"k={k}, but this backbone has {depth} stages: k must be 0 to {depth}")
        self.k = depth if k == "all" else k
        self.backbone_lr = backbone_lr

    def phases(self) -> tuple[Phase, ...]:
        return (Phase(frozen=tuple(range(self.k)), lr=self.lr, backbone_lr=self.backbone_lr),)

    def objective(self, fit: torch.Tensor, target: Seen, streams: Streams) -> torch.Tensor:
        """What training makes small; `fit`: the loss on the target's labels, 0 without any."""
        return fit

    def look(self, inputs: torch.Tensor, labels: torch.Tensor) -> Seen:
        """A batch through the network as it is now."""
        features = self.backbone(inputs, start=self.entry)
        return Seen(inputs, labels, features, self.head(features))

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy over the examples whose labels are known; 0 where none is."""
        if len(labels) and bool((labels < 0).all()):
            return logits.sum() * 0
        return F.cross_entropy(logits, labels, ignore_index=-1)

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        inputs, labels, *beside = batch
        target = self.look(inputs, labels)
        fit = self.loss(target.logits, labels)
        loss = self.objective(fit, target, Streams(self, beside[0] if beside else {}))
        self.train_sums += sums(loss, target.logits, labels)
        return loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        """As for every regime; hidden labels add no loss."""
        inputs, labels = batch
        logits = self(inputs)
        self.val_sums += sums(ObjectiveModule.loss(self, logits, labels), logits, labels)
