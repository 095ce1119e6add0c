"""A model before it is written: backbone, linear head, and what it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from transfer_lab.advice.advice import Advice
from transfer_lab.advice.features.networks import Network

if TYPE_CHECKING:
    from transfer_lab.backbones.base import Backbone


class Head(NamedTuple):
    """A linear head on pooled features as they are: weight (classes, features), bias (classes)."""

    weight: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(images, classes)."""
        return features @ self.weight.T + self.bias


@dataclass(frozen=True)
class FittedModel:
    """What `train` ends with.

    `features` (images, features), float32, and `labels`: of the training photographs as the fitted
    backbone sees them. `temperature` divides logits, so that probabilities are calibrated.
    """

    classes: tuple[str, ...]
    network: Network
    backbone: Backbone
    head: Head
    image_size: int
    features: np.ndarray
    labels: np.ndarray
    temperature: float
    advice: Advice
    groups: np.ndarray | None = None
    """Of the training photographs: near-copies of one another have the same number."""
