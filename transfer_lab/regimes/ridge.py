"""Ridge regression with a free bias in closed form, and its errors at examples left out."""

from __future__ import annotations

import torch
from torch import Tensor

from transfer_lab.regimes.base import check_positive

RIDGES = tuple(10.0**power for power in range(-3, 4))
"""What a penalty may be where it is chosen, in the units below."""


class RidgeFits:
    """All ridge regressions on the same features (n, d): weights w and bias c that minimise
    |w|^2 + sum (y - w x - c)^2 / penalty, where no penalty holds the bias.

    A penalty is given in units of the mean squared distance of a feature vector to the mean, so
    that one number means the same on every backbone. Targets are (n, ...), any number at once.
    Computed in float64.
    """

    def __init__(self, features: Tensor):
        self.mean = features.double().mean(0)
        self.centred = features.double() - self.mean
        wide = self.centred.shape[0] <= self.centred.shape[1]
        gram = self.centred @ self.centred.T if wide else self.centred.T @ self.centred
        values, vectors = torch.linalg.eigh(gram)
        kept = values > 1e-12 * values[-1].clamp_min(1e-300)
        self._values, vectors = values[kept], vectors[:, kept]
        self._left = vectors if wide else self.centred @ vectors / self._values.sqrt()
        self._unit = max(self._values.sum().item() / len(features), 1e-300)

    def left_out(self, targets: Tensor, penalty: float) -> Tensor:
        """Each example's target less what the regression on all others answers to it, (n, ...)."""
        shrunk = self._values / (self._values + penalty * self._unit)
        inside = torch.tensordot(self._left.T, targets, 1)
        fitted = targets.mean(0) + torch.tensordot(self._left * shrunk, inside, 1)
        leverage = 1 / len(self.centred) + (self._left.square() * shrunk).sum(1)
        return (targets - fitted) / (1 - leverage).reshape(-1, *[1] * (targets.dim() - 1))

    def solution(self, targets: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
        """Weights (outputs, d) and bias (outputs) for targets (n, outputs)."""
        check_positive(penalty=penalty)
        dual = self._left / (self._values + penalty * self._unit) @ (self._left.T @ targets)
        weight = dual.T @ self.centred
        return weight, targets.mean(0) - weight @ self.mean

    def best_penalty(self, targets: Tensor) -> float:
        """The one of `RIDGES` with the least squared error at examples left out."""
        errors = [self.left_out(targets, penalty).square().mean().item() for penalty in RIDGES]
        return RIDGES[errors.index(min(errors))]
