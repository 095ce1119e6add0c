"""What a challenger is: a way to learn, what it costs, and what it answers fold by fold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from transfer_lab.advice.advice import Recommendation
from transfer_lab.advice.fitted import Head
from transfer_lab.advice.wording import tried
from transfer_lab.backbones.base import Backbone

Tick = Callable[[int], None]
"""Hears that so many images go into the next step; what it raises ends the work."""


class OutOfTimeError(RuntimeError):
    """What was being tried cannot be finished in the time that is left."""


class Cost(NamedTuple):
    """Predicted seconds: to make ready, once; of a fold, and its answers; of a fit on all images,
    once ready."""

    ready: float
    fold: float
    fit: float

    def of_folds(self, count: int) -> float:
        """Of being made ready and so many folds."""
        return self.ready + count * self.fold

    @property
    def training(self) -> float:
        """Of training on all images, from nothing but the default features."""
        return self.ready + self.fit


class Trained(NamedTuple):
    """What learning from all photographs has made: a backbone in eval mode, a head on its features,
    and the features (n, features) that the photographs have in it."""

    backbone: Backbone
    head: Head
    features: np.ndarray


class Challenger(ABC):
    """A backbone, a regime with its options, and an image size.

    `cost` is measured on a few images, in seconds rather than minutes, before anything is begun.
    `name`: what a person is told that is done.
    """

    def __init__(
        self, backbone: str, regime: str, image_size: int, options: dict[str, float | int | str]
    ):
        self.backbone, self.regime = backbone, regime
        self.image_size, self.options = image_size, options
        self.name = f"trying {tried(self.recommendation, None)}"

    @property
    def recommendation(self) -> Recommendation:
        """It as what is to be trained."""
        return Recommendation(
            backbone=self.backbone,
            regime=self.regime,
            image_size=self.image_size,
            options=self.options,
        )

    @abstractmethod
    def cost(self) -> Cost:
        """Predicted seconds: steps times images over the rate of a few."""

    @abstractmethod
    def image_steps(self, images: int) -> int:
        """How many images, each as often as it is seen, go into the steps of a fit on so many."""

    @abstractmethod
    def make_ready(self, tick: Tick, seconds: float) -> None:
        """Compute what all folds share; raises OutOfTimeError if it takes longer than so many
        seconds."""

    @abstractmethod
    def fit_predict(self, train: np.ndarray, test: np.ndarray, tick: Tick) -> np.ndarray:
        """Logits (test images, classes) after learning from others, once ready."""

    @abstractmethod
    def fit_all(self, tick: Tick) -> Trained:
        """Learn from all photographs, once ready."""
