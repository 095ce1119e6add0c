"""Learn from the network's own answers to unlabelled images, where it is sure of them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase
from transfer_lab.regimes.objective import ObjectiveModule, Seen, Streams


class PseudoLabels(ObjectiveModule):
    """Fine-tuning on labelled images and on the network's own answers to unlabelled ones:
    L(y, f) + weight(t) / n sum 1[max p >= threshold] L(argmax p, f'), with p the softmax of f'
    (Lee 2013, "Pseudo-Label", eq. 15, with a threshold that the paper does not have). As in its
    eq. 16 the weight rises from 0, over the first part of the steps.

    Options: `weight` of the unlabelled images, in the end; `threshold`: how sure the network must
    be of an answer, 0 for Lee's own method, above 1 to switch it off; `ramp`: share of a phase's
    steps over which the weight rises; where no end is known, as with patience, it is whole from
    the start. `k`, `backbone_lr`: as `multi_task` has them.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        weight: float = 1.0,
        threshold: float = 0.9,
        ramp: float = 0.5,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        check_confidence(weight, threshold)
        if not 0 <= ramp <= 1:
            raise ValueError(f"ramp must lie between 0 and 1, but is {ramp}")
        self.weight, self.threshold, self.ramp = weight, threshold, ramp
        self._taken = 0

    def begin(self, phase: Phase, *, entry: int = 0, steps: float | None = None) -> None:
        """As for every regime; the weight rises anew."""
        super().begin(phase, entry=entry, steps=steps)
        self._taken = 0

    def objective(self, fit: torch.Tensor, target: Seen, streams: Streams) -> torch.Tensor:
        if self.threshold > 1:
            return fit
        logits = streams["unlabelled"].logits
        weight = self.weight * self.risen(self._taken)
        self._taken += 1
        return fit + weight * confident_loss(logits, logits, self.threshold)

    def risen(self, step: int) -> float:
        """The part of its weight that the loss on unlabelled images has at a step."""
        if self.steps is None or not math.isfinite(self.steps):
            return 1.0
        return min(1.0, step / max(1.0, self.ramp * self.steps))


def check_confidence(weight: float, threshold: float) -> None:
    """Raise ValueError for a weight that is negative or infinite, and a threshold below 0."""
    if not 0 <= weight < math.inf:
        raise ValueError(f"weight must be 0 or more, and finite; it is {weight}")
    if not threshold >= 0:
        raise ValueError(f"threshold must be 0 or more, and above 1 for none; it is {threshold}")


def confident_loss(answers: torch.Tensor, logits: torch.Tensor, threshold: float) -> torch.Tensor:
    """Cross-entropy of `logits` with the classes that `answers` are sure of, both (n, classes): a
    mean over all n, to which the others add nothing. The answers have no gradient."""
    sure, labels = answers.detach().softmax(1).max(1)
    losses = F.cross_entropy(logits, labels, reduction="none")
    return (losses * (sure >= threshold)).mean()
