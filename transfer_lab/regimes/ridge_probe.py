"""Solve a linear head on frozen source features by least squares."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import check_positive
from transfer_lab.regimes.ridge import RidgeFits
from transfer_lab.regimes.solved import Sample, SolvedModule

_LOG_TEMPERATURES = (math.log(0.01), math.log(100))


class RidgeProbe(SolvedModule):
    """Ridge regression on frozen features, each class against the rest:
    ridge |w|^2 + sum (y - w x - c)^2 with y = 1 or -1 and a bias c that no penalty holds (Hoerl and
    Kennard 1970); with C = 1 / ridge the least-squares support vector machine (Suykens and
    Vandewalle 1999).

    Scores are no logits: they are multiplied by one number, which fits the scores at examples left
    out to Platt's smoothed targets (Platt 1999), so that no answer changes and log loss means
    something. Validation images are not used.

    Options: `ridge`: weight of the penalty, in units of the mean squared distance of features to
    their mean.
    """

    def __init__(self, backbone: Backbone, num_classes: int, *, ridge: float = 0.1):
        super().__init__(backbone, num_classes)
        check_positive(ridge=ridge)
        self.ridge = ridge

    def solve(self, target: Sample, validation: Sample, streams: Mapping[str, Sample]) -> None:
        """Machines and their scale, from the target's features, and sources' where `prior` is."""
        features, signs = target.inputs.double(), against_rest(target.labels, self.num_classes)
        fits = RidgeFits(features)
        prior = self.prior(fits, features, signs, streams)
        residual = signs - features @ prior.T
        away, bias = fits.solution(residual, self.ridge)
        scale = temperature(signs - fits.left_out(residual, self.ridge), target.labels)
        with torch.no_grad():
            self.head.weight.copy_(scale * (prior + away))
            self.head.bias.copy_(scale * bias)

    def prior(
        self, fits: RidgeFits, features: Tensor, signs: Tensor, streams: Mapping[str, Sample]
    ) -> Tensor:
        """The weights (classes, features) that the machines' are held near to."""
        return torch.zeros(self.num_classes, features.shape[1], dtype=features.dtype)

    @property
    def num_classes(self) -> int:
        """How many machines there are."""
        return self.head.out_features


def against_rest(labels: Tensor, classes: int) -> Tensor:
    """1 where an example is of a class and -1 where not, (n, classes), float64."""
    return 2.0 * F.one_hot(labels, classes).double() - 1


def temperature(scores: Tensor, labels: Tensor) -> float:
    """What scores (n, classes) are multiplied by to be logits: that of the least cross-entropy
    against Platt's targets, in which a class of m examples has (m + 1) / (m + classes) at its own
    examples and the others share the rest; between 0.01 and 100."""
    classes = scores.shape[1]
    counts = torch.bincount(labels, minlength=classes).double()[labels, None]
    wanted = (F.one_hot(labels, classes) + 1 / counts) / (1 + classes / counts)

    def loss(log_temperature: float) -> float:
        logs = F.log_softmax(math.exp(log_temperature) * scores, 1)
        return -(wanted * logs).sum(1).mean().item()

    found = minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded")
    return math.exp(found.x)
