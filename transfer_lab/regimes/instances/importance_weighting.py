"""Learn from the source's examples by how likely they are in the target."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.instances.density_ratio import by_discriminator, kliep, kmm
from transfer_lab.regimes.instances.pooled_head import Examples, PooledHead, features_of
from transfer_lab.regimes.solved import Sample

Method = Literal["discriminator", "kmm", "kliep", "none"]
_METHODS: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "discriminator": by_discriminator,
    "kmm": kmm,
    "kliep": kliep,
}


class ImportanceWeighting(PooledHead):
    """`pooled_head` with the source's examples weighted by p_T(x) / p_S(x), estimated on frozen
    features from them and the target's unlabelled images (Shimodaira 2000): what is right where
    the domains differ in how often images occur, and overlap. Weights have mean 1;
    `effective_sample_size`, (sum w)^2 / sum w^2, tells how many examples are left of them.

    Options: `method`: `discriminator` (a classifier of domains; Bickel et al. 2009), `kmm` (kernel
    mean matching; Huang et al. 2006), `kliep` (Sugiyama et al. 2008) or `none`; `max_weight`: no
    weight is above it; `weight`, `l2`: as `pooled_head` has them.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        method: Method = "discriminator",
        max_weight: float = 10.0,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        if not 1 < max_weight < math.inf:
            raise ValueError(
                f"max_weight must be above 1, the mean, and finite; it is {max_weight}"
            )
        if method not in (*_METHODS, "none"):
            raise ValueError(f"no method {method!r}: choose from {', '.join(_METHODS)} and none")
        self.method, self.max_weight = method, max_weight
        self.effective_sample_size: float | None = None

    def source_examples(self, source: Examples, streams: Mapping[str, Sample]) -> Examples:
        if self.method == "none":
            return source
        target = features_of(streams["unlabelled"])
        weights = clipped(
            _METHODS[self.method](source.features, target, self.max_weight), self.max_weight
        )
        self.effective_sample_size = float(weights.sum() ** 2 / (weights**2).sum())
        return replace(source, weights=weights)


def clipped(weights: np.ndarray, most: float) -> np.ndarray:
    """Weights of mean 1 and none above `most`: what is cut off goes to the others in proportion."""
    weights = weights / weights.mean() if weights.any() else np.ones_like(weights)
    while weights.max() > most * (1 + 1e-9):
        over = weights >= most
        rest = weights[~over].sum()
        if not rest:
            spread = (len(weights) - most * over.sum()) / max(1, (~over).sum())
            return np.where(over, most, spread)
        factor = (len(weights) - most * over.sum()) / rest
        weights = np.where(over, most, weights * factor)
    return weights
