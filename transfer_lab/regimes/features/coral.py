"""Give the source's frozen features the mean and the covariance of the target's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import check_positive
from transfer_lab.regimes.instances.pooled_head import Examples, PooledHead, features_of
from transfer_lab.regimes.solved import Sample

Alignment = Literal["covariance", "scale", "none"]
_LEAST = 1e-3
"""Of the mean spread: features that vary less are taken to vary that much."""


class Coral(PooledHead):
    """`pooled_head` on source features x that are whitened by their own covariance and coloured by
    that of the target's unlabelled images, both with a ridge:
    (x - m_S) (C_S + ridge I)^-1/2 (C_T + ridge I)^1/2 + m_T
    (CORAL, Sun et al. 2016, "Return of Frustratingly Easy Domain Adaptation", algorithm 1; the
    paper's features are standardised, so that its means are 0 and its ridge of 1 is the variance
    of a feature: here both domains are measured in units of the source's spread of each feature).

    Options: `align`: `covariance`, `scale` (mean and spread of each feature by itself, which is
    standardising each domain for itself) or `none`; `ridge`; `weight`, `l2`: as `pooled_head` has
    them.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        align: Alignment = "covariance",
        ridge: float = 1.0,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        check_positive(ridge=ridge)
        if align not in get_args(Alignment):
            choices = ", ".join(get_args(Alignment))
            raise ValueError(f"no alignment {align!r}: choose from {choices}")
        self.align, self.ridge = align, ridge

    def source_examples(self, source: Examples, streams: Mapping[str, Sample]) -> Examples:
        if self.align == "none":
            return source
        target = features_of(streams["unlabelled"])
        if self.align == "scale":
            return replace(source, features=scale_aligned(source.features, target))
        return replace(source, features=covariance_aligned(source.features, target, self.ridge))


def covariance_aligned(source: np.ndarray, target: np.ndarray, ridge: float) -> np.ndarray:
    """Source features (n, features) with the target's mean and covariance, as far as the ridge
    lets them: it is in units of the source's variance of each feature."""
    unit = _spread(source)
    own, others = (source - source.mean(0)) / unit, (target - target.mean(0)) / unit
    white = power(own, own, ridge, -0.5)
    return power(white, others, ridge, 0.5) * unit + target.mean(0)


def scale_aligned(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Source features with the target's mean and spread of each feature."""
    white = (source - source.mean(0)) / _spread(source)
    return white * target.std(0) + target.mean(0)


def power(x: np.ndarray, sample: np.ndarray, ridge: float, exponent: float) -> np.ndarray:
    """x (C + ridge I)^exponent, C being the covariance of a centred sample (m, features).

    By the smaller of covariance and Gram matrix, since features often outnumber images; what the
    sample does not span has eigenvalue `ridge`.
    """
    count = max(1, len(sample) - 1)
    if len(sample) < sample.shape[1]:
        values, left = np.linalg.eigh(sample @ sample.T / count)
        kept = values > values[-1] * 1e-10
        values, left = values[kept], left[:, kept]
        axes = sample.T @ left / np.sqrt(values * count)
    else:
        values, axes = np.linalg.eigh(sample.T @ sample / count)
        values = values.clip(0)
    rest = ridge**exponent
    return x * rest + ((x @ axes) * ((values + ridge) ** exponent - rest)) @ axes.T


def _spread(features: np.ndarray) -> np.ndarray:
    """Standard deviation of each feature, not below a part of the mean one; 1 if nothing varies."""
    spread = features.std(0)
    return spread.clip(_LEAST * spread.mean()) if spread.any() else np.ones_like(spread)
