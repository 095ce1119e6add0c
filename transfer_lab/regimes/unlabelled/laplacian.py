"""Solve a linear head whose answers vary little between neighbours among unlabelled images."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.ridge_probe import RidgeProbe, against_rest, temperature
from transfer_lab.regimes.solved import Sample

_ROWS = 1024
"""Of a matrix of distances that are held at once."""


class Laplacian(RidgeProbe):
    """Least squares with a penalty on answers that differ between neighbours,
    1/n (sum |W f + b - y|^2 + ridge v |W|^2) + gamma / E tr(F' L F),
    over the target's whole pool, labelled images included: F are the answers, L = D - A the
    Laplacian of a graph in which two images are joined if one is among the other's nearest in
    feature space, E the number of its edges, so that the last term is gamma times the mean
    |F_i - F_j|^2 of neighbours (Belkin et al. 2006, "Manifold Regularization", LapRLS, eq. 8, with
    a linear kernel). Else as `ridge_probe`.

    Options: `gamma`: weight of that penalty, 0 to switch it off; `neighbours`: how many nearest
    ones; `ridge`: as `ridge_probe` has it.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        gamma: float = 0.1,
        neighbours: int = 10,
        ridge: float = 0.1,
    ):
        super().__init__(backbone, num_classes, ridge=ridge)
        if not 0 <= gamma < math.inf:
            raise ValueError(f"gamma must be 0 or more, and finite; it is {gamma}")
        if neighbours < 1:
            raise ValueError(f"neighbours must be at least 1, not {neighbours}")
        self.gamma, self.neighbours = gamma, neighbours

    @torch.no_grad()
    def solve(self, target: Sample, validation: Sample, streams: Mapping[str, Sample]) -> None:
        """Set the head; validation images are not used."""
        if not self.gamma:
            super().solve(target, validation, streams)
            return
        rows, pool = target.inputs.double(), streams["unlabelled"].inputs.double()
        mean, signs = rows.mean(0), against_rest(target.labels, self.num_classes)
        centred = rows - mean
        basis = spanned(torch.cat([centred, pool - mean]))
        inputs = centred @ basis
        unit = centred.square().sum(1).mean().clamp_min(1e-12)
        edges = graph(pool, self.neighbours)
        penalty = self.ridge * unit * torch.eye(inputs.shape[1], dtype=inputs.dtype)
        penalty += len(rows) * self.gamma / edges.shape[1] * between(pool @ basis, edges)
        weight, left_out = least_squares(inputs, signs, penalty)
        scale, weight = temperature(left_out, target.labels), weight @ basis.T
        self.head.weight.copy_(scale * weight)
        self.head.bias.copy_(scale * (signs.mean(0) - weight @ mean))


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


def graph(features: torch.Tensor, neighbours: int) -> torch.Tensor:
    """The edges (2, E), each once, that join each of the features (m, d) to its nearest others."""
    count = len(features)
    nearest = [
        torch.cdist(rows, features)
        .scatter(1, torch.arange(start, start + len(rows))[:, None], math.inf)
        .topk(min(neighbours, count - 1), largest=False)
        .indices
        for start, rows in zip(range(0, count, _ROWS), features.split(_ROWS), strict=True)
    ]
    ends = torch.cat(nearest)
    pairs = torch.stack([torch.arange(count)[:, None].expand_as(ends), ends]).flatten(1)
    return pairs.sort(0).values.unique(dim=1)


def between(inputs: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """X' L X (d, d) of inputs X (m, d): the sum over edges of (x_i - x_j) (x_i - x_j)'."""
    count = len(inputs)
    both = torch.cat([edges, edges.flip(0)], 1)
    ones = torch.ones(both.shape[1], dtype=inputs.dtype)
    joined = torch.sparse_coo_tensor(both, ones, (count, count), check_invariants=False)
    degrees = torch.bincount(both[0], minlength=count).to(inputs.dtype)
    return inputs.T @ (degrees[:, None] * inputs - joined @ inputs)
