"""Linear CKA (Kornblith et al. 2019), unbiased: how alike two networks see the same images.

No distance of domains: a diagnostic of what fine-tuning changed.
"""

from __future__ import annotations

import math

import numpy as np

from transfer_lab.similarity.samples import DegenerateError, checked, varying


def cka(x: np.ndarray, y: np.ndarray) -> float:
    """1 for features equal up to rotation and scale, about 0 for unrelated ones.

    `x`, `y`: features of the same images, (n, d) and (n, e). With the unbiased HSIC of Song et al.
    (2012), without which n < d looks like similarity. Raises DegenerateError with fewer than four
    images, or constant features.
    """
    x, y = varying(checked(x, "the first features")), varying(checked(y, "the second features"))
    if len(x) != len(y):
        raise DegenerateError(f"{len(x)} and {len(y)} images: they must be the same ones")
    return cka_of_products(_products(x), _products(y))


def cka_of_products(x: np.ndarray, y: np.ndarray) -> float:
    """The same from the inner products of centred features, (n, n): all that it looks at."""
    if len(x) < 4:
        raise DegenerateError("at least 4 images are needed")
    first, second = _scaled(x), _scaled(y)
    own = _hsic(first, first) * _hsic(second, second)
    if own <= 0:
        raise DegenerateError("too few images for features of this kind")
    return _hsic(first, second) / math.sqrt(own)


def _products(features: np.ndarray) -> np.ndarray:
    centred = features - features.mean(0)
    return centred @ centred.T


def _scaled(products: np.ndarray) -> np.ndarray:
    """Inner products without the diagonal, at a common scale."""
    if not np.isfinite(products).all():
        raise DegenerateError("features hold a NaN or an infinity")
    if not products.any():
        raise DegenerateError("all features are constant: the images cannot be told apart")
    gram = products / np.trace(products)
    np.fill_diagonal(gram, 0)
    return gram


def _hsic(k: np.ndarray, m: np.ndarray) -> float:
    n = len(k)
    total = k.sum() * m.sum() / ((n - 1) * (n - 2))
    rows = 2 * (k.sum(0) @ m.sum(0)) / (n - 2)
    return float(((k * m).sum() + total - rows) / (n * (n - 3)))
