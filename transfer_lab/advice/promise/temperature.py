"""Calibration: what logits are divided by, so that probabilities come true."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

LEAST, MOST = 0.25, 20.0


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature under which the labels are likeliest, from 0.25 to 20.

    `logits` (images, classes) or (repeats, images, classes) of heads that had not seen the images.
    The floor stops a head that is always right from being made sure of everything.
    """
    table = logits.reshape(-1, *logits.shape[-2:])
    rows = np.arange(len(labels))

    def surprise(log_temperature: float) -> float:
        shares = log_softmax(table / np.exp(log_temperature), axis=2)
        return -float(shares[:, rows, labels].mean())

    bounds = (float(np.log(LEAST)), float(np.log(MOST)))
    found = minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    ends = {surprise(end): end for end in bounds}
    best = found.x if found.fun <= min(ends) else ends[min(ends)]
    return float(np.clip(np.exp(best), LEAST, MOST))
