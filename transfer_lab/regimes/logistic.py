"""Multinomial logistic regression on weighted examples, solved exactly."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

_ROUNDS = 500


def scaled(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Features about their weighted mean, in units of the root of their mean variance; with that
    mean and that unit. One unit for all: a feature that hardly varies in the source, and does in
    the target, would be blown up by its own."""
    mean = weights @ features / weights.sum()
    centred = features - mean
    unit = float(np.sqrt(weights @ (centred**2).mean(1) / weights.sum())) or 1.0
    return centred / unit, mean, unit


def fit_logistic(
    features: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    num_classes: int,
    l2: float,
    start: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Weight (classes, features) and bias (classes) that make the weighted mean cross-entropy plus
    l2 / 2 |W|^2 smallest, W being of centred features in units of their spread.

    `features` (n, features), `labels` (n) from 0, `weights` (n), not negative and not all 0. The
    search begins at weight and bias of `start`, else at zero: where it ends is the same, for the
    sum has one minimum, but near a solution of almost the same weights it is soon there.
    """
    x, mean, unit = scaled(features, weights)
    share = weights / weights.sum()
    right = np.eye(num_classes)[labels]
    shape = (x.shape[1] + 1, num_classes)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        table = flat.reshape(shape)
        w, b = table[:-1], table[-1]
        log_shares = log_softmax(x @ w + b, axis=1)
        wrong = share[:, None] * (np.exp(log_shares) - right)
        value = -share @ log_shares[np.arange(len(x)), labels] + l2 / 2 * (w**2).sum()
        return value, np.vstack([x.T @ wrong + l2 * w, wrong.sum(0)]).ravel()

    begin = np.zeros(shape)
    if start is not None:
        begin = np.vstack([start[0].T * unit, start[1] + start[0] @ mean])
    found = minimize(
        loss,
        begin.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ROUNDS, "gtol": 1e-6, "ftol": 1e-12},
    )
    table = found.x.reshape(shape)
    w = table[:-1].T / unit
    return w, table[-1] - w @ mean
