"""Adapt the stages of a source's model to images without labels, under its own head."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase
from transfer_lab.regimes.objective import ObjectiveModule, Seen, Streams
from transfer_lab.regimes.optim import RecipeName


class SHOT(ObjectiveModule):
    """Source hypothesis transfer: the source's head stays as it is, and the stages learn to give it
    features that it is sure of, of all classes, and that lie near the centre of their class:
    E[H(p)] - H(E[p]) + weight L(y', p) (Liang et al. 2020, "Do We Really Need to Access the Source
    Data?", eq. 3 to 6), with p the answers to target images and y' the class whose centre is
    nearest by the angle.

    As there the centres are found anew for each epoch and in two rounds, weighed by the answers and
    then over the images that are nearest. They come of the features that the last epoch's steps
    have seen, so that no image is looked at twice; in the first epoch there are none, nor y'. The
    source's head is a plain one, learnt without the smoothed labels of the paper.

    Options: `weight` of the classes by centres; `backbone_lr`: peak rate of the stages; `k`: number
    of leading stages that stay frozen, or `all`.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        weight: float = 0.3,
        k: int | Literal["all"] = 0,
        backbone_lr: float = 1e-4,
        weight_decay: float | None = None,
        recipe: RecipeName = "adamw_cosine",
    ):
        super().__init__(
            backbone,
            num_classes,
            k=k,
            backbone_lr=backbone_lr,
            weight_decay=weight_decay,
            recipe=recipe,
        )
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight must be 0 or more, and finite; it is {weight}")
        if self.k == len(backbone.stages):
            raise ValueError("with all stages frozen nothing learns: the head is the source's")
        self.weight = weight
        self._forget()

    def _forget(self) -> None:
        self._seen: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._centres: torch.Tensor | None = None
        self._middle: torch.Tensor | None = None

    def begin(self, phase: Phase, *, entry: int = 0, steps: float | None = None) -> None:
        """As for every regime; the head is the source's and stays so."""
        super().begin(phase, entry=entry, steps=steps)
        self.head.requires_grad_(False)
        self._forget()

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        """A step, before the first of which in an epoch the centres are found."""
        if index == 0 and self._seen:
            features, answers = (torch.cat(seen) for seen in zip(*self._seen, strict=True))
            self._middle, self._seen = features.mean(0), []
            self._centres = centres(features - self._middle, answers)
        return super().training_step(batch, index)

    def objective(self, fit: torch.Tensor, target: Seen, streams: Streams) -> torch.Tensor:
        answers = target.logits.softmax(1)
        features = target.features.detach()
        self._seen.append((features, answers.detach()))
        loss = entropy(target.logits).mean() - of_the_mean(answers)
        if self._centres is None or not self.weight:
            return loss
        labels = nearest(features - self._middle, self._centres)
        return loss + self.weight * F.cross_entropy(target.logits, labels)


def entropy(logits: torch.Tensor) -> torch.Tensor:
    """Of each answer (n, classes), in nats: (n,)."""
    return -(logits.softmax(1) * logits.log_softmax(1)).sum(1)


def of_the_mean(answers: torch.Tensor) -> torch.Tensor:
    """The entropy of the mean of probabilities (n, classes): the more alike the classes' shares,
    the larger."""
    return torch.special.entr(answers.mean(0)).sum()


def centres(features: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Directions of the classes (classes, d) among features (n, d) with probabilities (n, classes):
    those of their answers, then those of the images that are nearest. A class that no image is
    answered with has none: zeros."""
    directions = F.normalize(features)
    classes = answers.shape[1]
    answered = F.one_hot(answers.argmax(1), classes).sum(0) > 0
    first = answers.T @ directions * answered[:, None]
    chosen = F.one_hot(nearest(features, first), classes).to(features.dtype)
    return chosen.T @ directions


def nearest(features: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """The class (n,) whose centre makes the smallest angle with each feature."""
    cosines = F.normalize(features) @ F.normalize(centres).T
    return cosines.masked_fill(~centres.any(1), -math.inf).argmax(1)
