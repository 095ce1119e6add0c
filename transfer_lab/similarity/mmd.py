"""Squared maximum mean discrepancy with the cubic polynomial kernel: the kernel distance KID.

Unbiased (Gretton et al. 2012; Binkowski et al. 2018): zero in expectation for two samples of one
distribution, at any number of images, and negative half of the time there.
"""

from __future__ import annotations

import math

import numpy as np
from sklearn.metrics.pairwise import polynomial_kernel

from transfer_lab.similarity.samples import DegenerateError, Estimate, checked


def contrasts(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """h(i, j) = k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i), (n, n): its mean off the
    diagonal is the unbiased MMD².

    Raises DegenerateError unless both samples are equally large and of the same width.
    """
    x, y = checked(x, "the first sample"), checked(y, "the second sample")
    if x.shape != y.shape:
        raise DegenerateError(f"samples of shapes {x.shape} and {y.shape} cannot be compared")
    cross = _kernel(x, y)
    return _kernel(x, x) + _kernel(y, y) - cross - cross.T


def u_statistic(values: np.ndarray) -> Estimate:
    """Mean of a symmetric h(i, j) off the diagonal, and its standard error.

    Hoeffding's two terms: what an image contributes on average and, where that vanishes (as for
    two samples of one distribution), what a pair does.
    """
    n = len(values)
    off = values.copy()
    np.fill_diagonal(off, 0)
    mean = off.sum() / (n * (n - 1))
    if n < 3:
        return Estimate(float(mean), math.inf)
    rows = off.sum(1) / (n - 1)
    pairs = (off**2).sum() / (n * (n - 1)) - mean**2
    images = max(0.0, rows.var(ddof=1) - pairs / (n - 1))
    return Estimate(float(mean), math.sqrt(max(0.0, 4 * images / n + 2 * pairs / (n * (n - 1)))))


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return polynomial_kernel(x, y, degree=3, gamma=1 / x.shape[1], coef0=1)
