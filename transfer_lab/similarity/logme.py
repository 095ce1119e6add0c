"""LogME (You et al. 2021): the evidence of labels under Bayesian linear regression on features."""

from __future__ import annotations

import numpy as np

from transfer_lab.similarity.samples import labelled

_ROUNDS, _TOLERANCE = 100, 1e-6


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """Log evidence per image, maximised over prior and noise precision, mean over one-against-rest
    targets; higher is better. Raises DegenerateError on one class or constant features."""
    features, codes = labelled(features, labels)
    left, singular, _ = np.linalg.svd(features, full_matrices=False)
    targets = np.eye(codes.max() + 1)[codes]
    return float(np.mean([_evidence(left, singular, y, features.shape) for y in targets.T]))


def _evidence(
    left: np.ndarray, singular: np.ndarray, target: np.ndarray, shape: tuple[int, int]
) -> float:
    """MacKay's fixed point for alpha (prior) and beta (noise), in the basis of singular vectors."""
    n, d = shape
    spectrum, weights = singular**2, left.T @ target
    outside = max(0.0, float(target @ target - weights @ weights))
    alpha, beta = 1.0, 1.0
    for _ in range(_ROUNDS):
        gamma, size, residual = _moments(spectrum, weights, outside, alpha, beta)
        # Where the labels are a linear function of the features the evidence has no bound.
        residual = max(residual, 1e-12 * n)
        new_alpha, new_beta = gamma / max(size, 1e-300), max(n - gamma, 1e-12) / residual
        settled = abs(new_alpha / new_beta - alpha / beta) <= _TOLERANCE * alpha / beta
        alpha, beta = new_alpha, new_beta
        if settled:
            break
    _, size, residual = _moments(spectrum, weights, outside, alpha, beta)
    log_determinant = np.log(alpha + beta * spectrum).sum() + (d - len(spectrum)) * np.log(alpha)
    evidence = n * np.log(beta) + d * np.log(alpha) - n * np.log(2 * np.pi) - log_determinant
    return float(evidence - beta * residual - alpha * size) / (2 * n)


def _moments(
    spectrum: np.ndarray, weights: np.ndarray, outside: float, alpha: float, beta: float
) -> tuple[float, float, float]:
    """Effective parameters, squared norm of the posterior mean, squared residual."""
    shrunk = alpha + beta * spectrum
    gamma = (beta * spectrum / shrunk).sum()
    size = (beta**2 * spectrum * weights**2 / shrunk**2).sum()
    residual = outside + (alpha**2 * weights**2 / shrunk**2).sum()
    return float(gamma), float(size), float(residual)
