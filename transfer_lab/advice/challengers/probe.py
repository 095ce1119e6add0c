"""The default head on other features: of another size, or of another network."""

from __future__ import annotations

import numpy as np

from transfer_lab.advice.challengers.base import Challenger, Cost, Tick, Trained
from transfer_lab.advice.challengers.pace import feature_seconds
from transfer_lab.advice.challengers.photographs import Photographs
from transfer_lab.advice.features.networks import Network


class OtherFeatures(Challenger):
    """A linear head, solved as the default one is."""

    def __init__(self, photographs: Photographs, network: Network, image_size: int):
        super().__init__(network.name, "linear_probe", image_size, {})
        self._photographs, self._network = photographs, network
        self.name = photographs.name_of(self.recommendation)

    def cost(self) -> Cost:
        ready = feature_seconds(self._photographs, self._network, self.image_size)
        return Cost(ready, self._photographs.probe_seconds, self._photographs.probe_seconds)

    def image_steps(self, images: int) -> int:
        return 0

    def make_ready(self, tick: Tick, seconds: float) -> None:
        self._photographs.features(self._network, self.image_size, seconds=seconds)

    def fit_predict(self, train: np.ndarray, test: np.ndarray, tick: Tick) -> np.ndarray:
        tick(0)
        features = self._photographs.features(self._network, self.image_size)
        return self._photographs.probe(features, train).logits(features[test])

    def fit_all(self, tick: Tick) -> Trained:
        tick(0)
        features = self._photographs.features(self._network, self.image_size)
        return Trained(
            self._photographs.backbone(self._network), self._photographs.probe(features), features
        )
