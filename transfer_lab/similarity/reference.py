"""Where photographs lie for a network with ready-made weights: between photographs such as it has
learnt from (0) and images of independent random pixels (1), by statistics that are shipped."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from transfer_lab.similarity.samples import DegenerateError, Estimate, Position, checked

FILE = Path(__file__).with_suffix(".npz")
VERSION = 1
"""Raised whenever the statistics, or what is made of them, change."""
VIEWS, WIDTH = 4, 64
"""So many random projections of the features, to so many numbers each."""
_RIDGE = 0.1
_NORMAL = 1.959964
_SHOWN = 3.0


class View(NamedTuple):
    """Mean (WIDTH,) and covariance (WIDTH, WIDTH) of one projection of photographs' features."""

    mean: np.ndarray
    covariance: np.ndarray


class Reference(NamedTuple):
    """What is known of photographs, and of random pixels, in one network's features.

    `known` and `far`: mean unlikeness of photographs that the views were not taken from, and of
    random pixels, at `image_size`. `features`: how many the network gives. Images with next to
    nothing in them, as plain colours, move no feature far and lie below 0.
    """

    image_size: int
    features: int
    views: tuple[View, ...]
    known: Estimate
    far: Estimate

    @property
    def made(self) -> int:
        """The version of the statistics and of what is made of them."""
        return VERSION


@cache
def reference_of(sha256: str | None) -> Reference | None:
    """What is shipped of the network with these weights."""
    with np.load(FILE) as found:
        if sha256 is None or f"{sha256[:16]}/means" not in found:
            return None
        stored = {name: found[f"{sha256[:16]}/{name}"] for name in ("means", "covariances", "told")}
    image_size, features, *told = stored["told"].tolist()
    rows, columns = np.tril_indices(WIDTH)
    views = []
    for mean, half in zip(stored["means"], stored["covariances"], strict=True):
        covariance = np.zeros((WIDTH, WIDTH))
        covariance[rows, columns] = covariance[columns, rows] = half
        views.append(View(mean.astype(float), covariance))
    return Reference(
        int(image_size), int(features), tuple(views), Estimate(*told[:2]), Estimate(*told[2:])
    )


def stored(reference: Reference) -> dict[str, np.ndarray]:
    """The same as arrays of a file: covariances as their lower halves."""
    rows, columns = np.tril_indices(WIDTH)
    told = (reference.image_size, reference.features, *reference.known, *reference.far)
    return {
        "means": np.array([view.mean for view in reference.views], np.float32),
        "covariances": np.array(
            [view.covariance[rows, columns] for view in reference.views], np.float16
        ),
        "told": np.array(told, np.float64),
    }


def views_of(features: np.ndarray) -> tuple[View, ...]:
    """What is kept of the features (n, d) of photographs, in the precision that it is shipped in;
    raises DegenerateError."""
    seen = [checked(features) @ p for p in _projections(features.shape[1])]
    means = [one.mean(0).astype(np.float32).astype(float) for one in seen]
    spreads = [np.cov(one, rowvar=False).astype(np.float16).astype(float) for one in seen]
    return tuple(map(View, means, spreads))


def unlikeness(views: tuple[View, ...], features: np.ndarray) -> np.ndarray:
    """(n,) of features (n, d): the mean square of what deviates from photographs, in units of how
    they do themselves (Mahalanobis), over the projections."""
    found = []
    for view, projection in zip(views, _projections(features.shape[1]), strict=True):
        ridge = _RIDGE * np.trace(view.covariance) / WIDTH * np.eye(WIDTH)
        root = np.linalg.cholesky(view.covariance + ridge)
        apart = np.linalg.solve(root, (checked(features) @ projection - view.mean).T)
        found.append((apart**2).mean(0))
    return np.mean(found, axis=0)


def mean_of(values: np.ndarray, groups: np.ndarray | None = None) -> Estimate:
    """Mean and its standard error; values of one group, as near-copies, count once."""
    if groups is not None:
        _, of = np.unique(groups, return_inverse=True)
        values = np.bincount(of, values) / np.bincount(of)
    if len(values) < 2:
        raise DegenerateError("at least 2 images are needed")
    return Estimate(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))))


def placed(reference: Reference, found: Estimate, far: Estimate | None = None) -> Position:
    """The place of a mean unlikeness and its 95 % interval, by linearisation; below 0 where images
    are more ordinary than the reference's own. `far`: of another far domain than random pixels.

    Raises DegenerateError where the far domain cannot be told from photographs.
    """
    known, far = reference.known, far or reference.far
    span = far.value - known.value
    if span <= _SHOWN * math.hypot(far.error, known.error):
        raise DegenerateError("the far domain cannot be told from photographs: no axis")
    at = (found.value - known.value) / span
    error = math.hypot(found.error, (1 - at) * known.error, at * far.error) / span
    return Position(at, at - _NORMAL * error, at + _NORMAL * error)


def place_between(reference: Reference, features: np.ndarray, far: np.ndarray) -> Position:
    """The place of features (n, d) between those photographs and a far domain's features (m, d).

    Raises DegenerateError where that cannot be said.
    """
    found, apart = (mean_of(unlikeness(reference.views, seen)) for seen in (features, far))
    return placed(reference, found, apart)


@cache
def _projections(features: int) -> tuple[np.ndarray, ...]:
    """Fixed random directions: distances among projected features are nearly those among all."""
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal((features, WIDTH)) / math.sqrt(features) for _ in range(VIEWS))
