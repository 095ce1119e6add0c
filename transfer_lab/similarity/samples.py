"""What every measure asks of its input, and what it answers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class DegenerateError(ValueError):
    """Features or labels that a measure is not defined on; the message says why."""


class Estimate(NamedTuple):
    """A value and its standard error."""

    value: float
    error: float


class Position(NamedTuple):
    """A place on the axis and its 95 % interval."""

    value: float
    low: float
    high: float


def checked(features: np.ndarray, name: str = "features") -> np.ndarray:
    """The features as float64 (n, d), n >= 2; raises DegenerateError if they are not."""
    found = np.asarray(features, np.float64)
    if found.ndim != 2 or found.shape[1] == 0:
        raise DegenerateError(f"{name} must be a table of rows, not of shape {found.shape}")
    if len(found) < 2:
        raise DegenerateError(f"{name}: at least 2 images are needed, there are {len(found)}")
    if not np.isfinite(found).all():
        raise DegenerateError(f"{name} hold a NaN or an infinity")
    return found


def labelled(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features as `checked` gives them, labels as 0 ... C-1; raises DegenerateError unless there
    are two classes and something that varies."""
    found = varying(checked(features))
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    if len(codes) != len(found):
        raise DegenerateError(f"{len(found)} rows of features, but {len(codes)} labels")
    if len(classes) < 2:
        raise DegenerateError("all images are of one class")
    return found, codes


def varying(features: np.ndarray) -> np.ndarray:
    """The columns that are not constant; raises DegenerateError if all are."""
    moving = np.ptp(features, axis=0) > 0
    if not moving.any():
        raise DegenerateError("all features are constant: the images cannot be told apart")
    return features[:, moving]
