"""Fine-tuning that answers, beside the class, where in the image its object is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from transfer_lab.backbones.base import Backbone
from transfer_lab.experiment.registry import Annotation
from transfer_lab.regimes.objective import ObjectiveModule, Seen, Streams


class DenseModule(ObjectiveModule):
    """Cross-entropy + weight * miss(answer(f(x)), annotation), where f(x) are the features that the
    head for classes has, too.

    A subclass names the `annotation` that it learns, makes `self.locator`, from features to its
    answers, in `meet`, and says what it misses by and how much of the annotation it covers.

    Options: `weight`: of what is missed, 0 to switch it off; `start`: `source`, or `random` for
    stages that are drawn as from scratch, with which the same is learnt without transfer; `k`,
    `backbone_lr`: as `multi_task` has them.
    """

    annotation: ClassVar[Annotation]
    locator: nn.Module

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        weight: float = 1.0,
        start: Literal["source", "random"] = "source",
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        if not 0 <= weight < float("inf"):
            raise ValueError(f"weight must be 0 or more, and finite; it is {weight}")
        self.weight, self.start = weight, start
        self.located: list[torch.Tensor] = []

    @property
    def transferred(self) -> int:
        return super().transferred if self.start == "source" else 0

    @abstractmethod
    def answer(self, features: torch.Tensor) -> torch.Tensor:
        """What training compares with the annotations, from features (n, num_features)."""

    @abstractmethod
    def miss(self, answers: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """The mean loss of answers on a batch, given its annotations."""

    @abstractmethod
    def decided(self, answers: torch.Tensor) -> torch.Tensor:
        """Annotations in the place of answers: boxes (n, 4), or masks (n, size, size)."""

    @abstractmethod
    def overlap(self, found: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """(n,): intersection over union of boxes or masks with others; one may stand for all."""

    @abstractmethod
    def constant(self, known: torch.Tensor) -> torch.Tensor:
        """(1, ...): the one annotation for all images that a look at those of training gives."""

    def objective(self, fit: torch.Tensor, target: Seen, streams: Streams) -> torch.Tensor:
        if not self.weight:
            return fit
        missed = self.miss(self.answer(target.features), streams.annotation(self.annotation))
        return fit + self.weight * missed

    def test_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        self.sample(batch[0])
        seen = self.look(*batch)
        self.test_outputs.append(seen.logits.float().cpu())
        if self.weight:
            self.located.append(self.decided(self.answer(seen.features)).cpu())

    def located_scores(
        self, train: Mapping[str, torch.Tensor], test: Mapping[str, torch.Tensor]
    ) -> Mapping[str, float]:
        if not self.located:
            return {}
        known = test[self.annotation]
        own = self.overlap(torch.cat(self.located), known)
        blind = self.overlap(self.constant(train[self.annotation]), known)
        return {"test_iou": own.mean().item(), "constant_iou": blind.mean().item()}
