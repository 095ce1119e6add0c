"""The default head: convex multinomial logistic regression on frozen features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.special import log_softmax

from transfer_lab.advice.fitted import Head

PENALTY = 0.03
"""Accuracy hardly changes from 1e-4 to 0.1; less than this takes longer to solve exactly."""
_ROUNDS = 400
_CURVATURE = 0.25
"""Of the cross-entropy in a logit, at most."""


class Scale(NamedTuple):
    """What features are shifted and divided by, each of them: (features,)."""

    mean: np.ndarray
    unit: np.ndarray


def floored_scale(features: np.ndarray) -> Scale:
    """Mean, and standard deviation plus half the features' median standard deviation.

    The floor keeps a feature that hardly varies in few images from being blown up to the size of
    those that tell the classes apart.
    """
    spread = features.std(axis=0, dtype=np.float64)
    unit = spread + np.median(spread) / 2
    return Scale(features.mean(axis=0, dtype=np.float64), np.where(unit > 0, unit, 1.0))


def fit_probe(
    features: np.ndarray, labels: np.ndarray, num_classes: int, penalty: float = PENALTY
) -> Head:
    """The head that makes mean cross-entropy plus penalty / 2 |W|^2 smallest, W being of features
    in units of their floored scale; a head on the features as they are.

    `features` (n, d), `labels` (n) from 0. A class without an image is never answered where
    another one has some.
    """
    scale = floored_scale(features)
    x = (features - scale.mean) / scale.unit
    basis, spectrum = _principal(x)
    inputs = x @ basis
    weight, bias = _solved(inputs, spectrum / len(x), labels, num_classes, penalty)
    weight = (weight @ basis.T) / scale.unit
    return Head(weight, bias - weight @ scale.mean)


def _principal(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions (d, r) in which centred x (n, d) varies at all, and its squared size along each.

    The penalised weights lie in their span, so that nothing is lost with r < d, and they are
    orthogonal, so that the penalty is the same.
    """
    n, d = x.shape
    values, vectors = eigh(x @ x.T if n < d else x.T @ x)
    kept = values > max(values[-1], 0.0) * 1e-10
    if not kept.any():
        return np.zeros((d, 1)), np.zeros(1)
    values, vectors = values[kept], vectors[:, kept]
    return (x.T @ (vectors / np.sqrt(values)) if n < d else vectors), values


def _solved(
    inputs: np.ndarray, variance: np.ndarray, labels: np.ndarray, num_classes: int, penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weight (classes, r) and bias (classes) on principal components of the given variance.

    The search runs in units in which no direction is curved much more than another, which makes it
    short. What costs time, the products with all inputs, is done in float32.
    """
    n, r = inputs.shape
    stretch = 1 / np.sqrt(_CURVATURE * variance + penalty)
    rows = np.ascontiguousarray(inputs, dtype=np.float32)
    columns = np.ascontiguousarray(rows.T)
    right = np.eye(num_classes)[labels]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        table = flat.reshape(r + 1, num_classes)
        w = table[:-1] * stretch[:, None]
        log_shares = log_softmax(rows @ w.astype(np.float32) + table[-1], axis=1)
        wrong = (np.exp(log_shares) - right) / n
        slope = columns @ wrong.astype(np.float32) + penalty * w
        value = penalty / 2 * (w**2).sum() - (right * log_shares).sum() / n
        return value, np.vstack([slope * stretch[:, None], wrong.sum(0)]).ravel()

    found = minimize(
        loss,
        np.zeros((r + 1) * num_classes),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ROUNDS, "gtol": 3e-5, "ftol": 1e-10},
    )
    table = found.x.reshape(r + 1, num_classes)
    return (table[:-1] * stretch[:, None]).T, table[-1]
