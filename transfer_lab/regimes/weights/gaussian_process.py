"""Gaussian process regression on frozen features, around what a source says or around nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.ridge import RidgeFits
from transfer_lab.regimes.solved import Sample, SolvedModule

_LENGTHS = (0.5, 1.0, 2.0, 4.0)
_NOISES = tuple(10.0**power for power in (-4, -3, -2, -1, 0, 1))
_MOST = 4000
_NODES = 32
_TINY = 1e-12


class GaussianProcessProbe(SolvedModule):
    """Gaussian process regression of one-hot labels on frozen features, one process a class with a
    shared kernel (Rasmussen & Williams 2006, ch. 2 and 6.5): f_c ~ GP(1 / classes, k) with
    k(x, x') = a exp(-|x - x'|^2 / 2 l^2), labels f_c + noise.

    l, a and the noise are those of the greatest marginal likelihood: l among multiples of the
    median distance, the noise among multiples of a, a in closed form. A class's probability is that
    its noisy label is the largest of all, from the mean and variance of each, and so log loss means
    something without calibration. Validation images are not used. Raises ValueError above 4,000
    training images.
    """

    def __init__(self, backbone: Backbone, num_classes: int):
        super().__init__(backbone, num_classes)
        self.num_classes = num_classes

    def solve(self, target: Sample, validation: Sample, streams: Mapping[str, Sample]) -> None:
        """The process given the target's labels, as the head."""
        if len(target) > _MOST:
            raise ValueError(
                f"a Gaussian process on {len(target)} images takes too long; use {_MOST} or fewer "
                "(per_class), or linear_probe"
            )
        mean = self.mean_function(streams)
        self.head = ProcessHead(target.inputs.double(), self._hot(target.labels), mean)

    def mean_function(self, streams: Mapping[str, Sample]) -> tuple[Tensor, Tensor]:
        """Weight (classes, features) and bias (classes) of what is expected without any example."""
        weight = torch.zeros(self.num_classes, self.backbone.num_features).double()
        return weight, torch.full((self.num_classes,), 1 / self.num_classes).double()

    def _hot(self, labels: Tensor) -> Tensor:
        return F.one_hot(labels, self.num_classes).double()


class GaussianProcess(GaussianProcessProbe):
    """Gaussian process regression whose mean is a source's model: f_c ~ GP(m_c, k) with
    m_c(x) = f_s(x), and otherwise as `gaussian_process_probe`. Where target images say nothing it
    answers as the source, with the doubt that the source's errors on the target's images leave.

    f_s is ridge regression of the source's one-hot labels on the same frozen features, with the
    penalty of the least error at its examples left out.

    Options: `mean`: `source`, or `zero` to switch it off: then all classes are as likely before any
    example, which in labels less 1 / classes is a mean of zero.
    """

    def __init__(
        self, backbone: Backbone, num_classes: int, *, mean: Literal["source", "zero"] = "source"
    ):
        super().__init__(backbone, num_classes)
        self.mean = mean

    def meet(self, classes: Mapping[str, int]) -> None:
        """Raises ValueError where the source has not as many classes as the target."""
        for role, count in classes.items():
            if count != self.num_classes:
                raise ValueError(
                    f"gaussian_process takes the {role}'s model for its mean, but that tells "
                    f"{count} classes apart and the target has {self.num_classes}"
                )

    def mean_function(self, streams: Mapping[str, Sample]) -> tuple[Tensor, Tensor]:
        if self.mean == "zero":
            return super().mean_function(streams)
        source = streams["source"]
        fits, labels = RidgeFits(source.inputs), self._hot(source.labels)
        return fits.solution(labels, fits.best_penalty(labels))


class ProcessHead(nn.Module):
    """A Gaussian process given training features (n, d) and one-hot labels (n, classes), around a
    linear mean; answers with the log-probabilities of classes. It holds its training features.
    """

    def __init__(self, features: Tensor, labels: Tensor, mean: tuple[Tensor, Tensor]):
        super().__init__()
        self.classes = labels.shape[1]
        weight, bias = mean
        residual = labels - (features @ weight.T + bias)
        squares = _squared_distances(features, features)
        self.length, self.amplitude, self.noise = most_likely(squares, residual)
        kernel = self._kernel(squares)
        factor = torch.linalg.cholesky(
            kernel + self.noise * torch.eye(len(kernel), dtype=kernel.dtype)
        )
        self.dual = nn.Parameter(torch.cholesky_solve(residual, factor), requires_grad=False)
        self.register_buffer("features", features)
        self.register_buffer("factor", factor)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, features: Tensor) -> Tensor:
        """Log-probabilities (batch, classes)."""
        means, variance = self.predictive(features)
        return largest(means, (variance + self.noise).sqrt()).float()

    def predictive(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (batch, classes) of the functions, and their variance (batch), without noise."""
        features = features.to(self.features.dtype)
        across = self._kernel(_squared_distances(features, self.features))
        means = features @ self.weight.T + self.bias + across @ self.dual
        known = torch.linalg.solve_triangular(self.factor, across.T, upper=False).square().sum(0)
        return means, (self.amplitude - known).clamp_min(0)

    def _kernel(self, squares: Tensor) -> Tensor:
        return self.amplitude * torch.exp(-squares / (2 * self.length**2))


def _squared_distances(one: Tensor, other: Tensor) -> Tensor:
    crossed = one @ other.T
    return (one.square().sum(1)[:, None] + other.square().sum(1) - 2 * crossed).clamp_min(0)


def most_likely(squares: Tensor, residual: Tensor) -> tuple[float, float, float]:
    """Length, amplitude and noise variance of the greatest marginal likelihood of the residuals
    (n, outputs), given squared distances (n, n) of the features."""
    median = squares[squares > _TINY * squares.max()].median().sqrt().item() if squares.any() else 1
    found = []
    for length in (multiple * median for multiple in _LENGTHS):
        values, vectors = torch.linalg.eigh(torch.exp(-squares / (2 * length**2)))
        powers = (vectors.T @ residual).square().mean(1)
        for noise in _NOISES:
            spread = values.clamp_min(0) + noise
            amplitude = max((powers / spread).mean().item(), _TINY)
            likelihood = -(math.log(amplitude) + spread.log().mean().item())
            found.append((likelihood, length, amplitude, noise * amplitude))
    return max(found)[1:]


def largest(means: Tensor, deviation: Tensor) -> Tensor:
    """Log of the probability that each of independent normal variables is the largest: means
    (batch, classes), one standard deviation (batch) for all; by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    apart = means.double() / deviation.double()[:, None]
    gaps = apart[:, :, None] - apart[:, None, :]
    others = 1 - torch.eye(means.shape[1], dtype=gaps.dtype, device=gaps.device)
    logs = [
        (torch.special.log_ndtr(gaps + node) * others).sum(2) + math.log(weight)
        for node, weight in zip(nodes, weights / weights.sum(), strict=True)
    ]
    return F.log_softmax(torch.stack(logs).logsumexp(0), 1)
