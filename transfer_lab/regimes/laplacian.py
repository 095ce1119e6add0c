"""Solve a linear head whose answers vary little between neighbours among unlabelled images."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.ridge_probe import RidgeProbe, features_of
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

    def unlabelled(self, streams: Mapping[str, Sample]) -> torch.Tensor | None:
        return features_of(streams["unlabelled"]) if self.gamma else None

    def smoothness(self, inputs: torch.Tensor, unlabelled: torch.Tensor) -> torch.Tensor:
        edges = graph(unlabelled, self.neighbours)
        return self.gamma / edges.shape[1] * between(inputs, edges)


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
