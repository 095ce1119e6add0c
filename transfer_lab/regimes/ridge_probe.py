"""Solve a linear head on frozen source features by least squares."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import check_positive
from transfer_lab.regimes.solved import Sample, SolvedModule

_TEMPERATURES = torch.logspace(-2, 2, 401, dtype=torch.float64)


class RidgeProbe(SolvedModule):
    """The head that makes sum |W f + b - y|^2 + ridge v |W|^2 smallest, in closed form (Hoerl and
    Kennard 1970): f are frozen features, y one-hot labels, b is free, and v is the mean squared
    distance of the features to their mean.

    Its scores are no logits: they are multiplied by the one number that makes the cross-entropy of
    the scores at images left out smallest, which changes no answer.

    Options: `ridge`: weight of the penalty.
    """

    def __init__(self, backbone: Backbone, num_classes: int, *, ridge: float = 0.1):
        super().__init__(backbone, num_classes)
        check_positive(ridge=ridge)
        self.ridge = ridge

    @torch.no_grad()
    def solve(self, target: Sample, validation: Sample, streams: Mapping[str, Sample]) -> None:
        """Set the head; validation images are not used."""
        rows = features_of(target)
        mean, wanted = rows.mean(0), F.one_hot(target.labels, self.head.out_features).double()
        unlabelled = self.unlabelled(streams)
        centred = rows - mean
        reach = [centred] if unlabelled is None else [centred, unlabelled - mean]
        basis = spanned(torch.cat(reach))
        inputs = centred @ basis
        unit = centred.square().sum(1).mean().clamp_min(1e-12)
        penalty = self.ridge * unit * torch.eye(inputs.shape[1], dtype=inputs.dtype)
        if unlabelled is not None:
            penalty += len(rows) * self.smoothness(unlabelled @ basis, unlabelled)
        weight, left_out = least_squares(inputs, wanted, penalty)
        scale = temperature(left_out, target.labels)
        weight = weight @ basis.T
        self.head.weight.copy_(scale * weight)
        self.head.bias.copy_(scale * (wanted.mean(0) - weight @ mean))

    def unlabelled(self, streams: Mapping[str, Sample]) -> torch.Tensor | None:
        """Features (m, d) of images without labels that the penalty goes by, if any."""
        return None

    def smoothness(self, inputs: torch.Tensor, unlabelled: torch.Tensor) -> torch.Tensor:
        """The quadratic form (d, d) of a penalty on the answers to unlabelled features, whose
        coordinates in a basis are `inputs` (m, d), per labelled image."""
        raise NotImplementedError(
            f"{type(self).__name__} has unlabelled images and no use for them"
        )


def features_of(sample: Sample) -> torch.Tensor:
    """What stages that are all frozen give, (n, d), float64."""
    return sample.inputs.double()


def spanned(rows: torch.Tensor) -> torch.Tensor:
    """An orthonormal basis (d, d') that holds all rows (n, d): where there are fewer rows than
    features, no solution has a part outside their span."""
    count, width = rows.shape
    if width <= count:
        return torch.eye(width, dtype=rows.dtype)
    return torch.linalg.qr(rows.T).Q


def least_squares(
    inputs: torch.Tensor, wanted: torch.Tensor, penalty: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (outputs, d) of sum |W x + b - y|^2 + tr(W P W') for centred inputs (n, d), and what
    the solution on all other examples answers to each (n, outputs)."""
    factor = torch.linalg.cholesky(inputs.T @ inputs + penalty)
    weight = torch.cholesky_solve(inputs.T @ wanted, factor).T
    leverage = 1 / len(inputs) + (inputs * torch.cholesky_solve(inputs.T, factor).T).sum(1)
    residual = wanted - wanted.mean(0) - inputs @ weight.T
    return weight, wanted - residual / (1 - leverage).clamp_min(1e-12)[:, None]


def temperature(scores: torch.Tensor, labels: torch.Tensor) -> float:
    """What scores (n, classes) are multiplied by to be logits of the least cross-entropy; from 0.01
    to 100."""
    losses = [F.cross_entropy(scale * scores, labels).item() for scale in _TEMPERATURES]
    return float(_TEMPERATURES[losses.index(min(losses))])
