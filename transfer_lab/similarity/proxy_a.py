"""Proxy A-distance (Ben-David et al. 2007): how well a classifier tells the domains apart."""

from __future__ import annotations

import math
import zlib

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from transfer_lab.similarity.samples import DegenerateError, Estimate, checked, varying

COMPONENTS, FOLDS = 50, 5


def proxy_a_distance(x: np.ndarray, y: np.ndarray) -> Estimate:
    """2 (1 - 2 e), e the cross-validated error of logistic regression on 50 principal components:
    0 where domains cannot be told apart, at most 2. The error is that of e's binomial, which knows
    nothing of what the folds have in common: for domains that are alike it is a quarter too small.

    Raises DegenerateError with fewer images than folds, or where nothing varies.
    """
    x, y = checked(x, "the first sample"), checked(y, "the second sample")
    if min(len(x), len(y)) < FOLDS:
        raise DegenerateError(f"at least {FOLDS} images of each domain are needed")
    if x.shape[1] != y.shape[1]:
        raise DegenerateError(f"samples have {x.shape[1]} and {y.shape[1]} features")
    pool, domain = np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])
    pool = StandardScaler().fit_transform(varying(pool))
    count = min(COMPONENTS, pool.shape[1], len(pool) - 1)
    reduced = PCA(count, svd_solver="randomized", random_state=0).fit_transform(pool)
    told = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        reduced,
        domain,
        cv=PredefinedSplit(np.concatenate([_folds(x), _folds(y)])),
    )
    # Domains of unequal size count alike.
    rates = [np.mean(told[domain == d] != d) for d in (0, 1)]
    counts = (len(x), len(y))
    variance = sum(e * (1 - e) / n for e, n in zip(rates, counts, strict=True)) / 4
    return Estimate(2 * (1 - 2 * float(np.mean(rates))), 4 * math.sqrt(variance))


def _folds(sample: np.ndarray) -> np.ndarray:
    """A fold for each image by the rank of a hash of its features: at random, and yet the same
    whatever the order of the images and of the two domains."""
    hashes = [zlib.crc32(row.tobytes()) for row in sample]
    folds = np.empty(len(sample), int)
    folds[np.argsort(hashes, kind="stable")] = np.arange(len(sample)) % FOLDS
    return folds
