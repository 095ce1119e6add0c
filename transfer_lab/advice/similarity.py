"""How far photographs lie from those that the network has learnt from. No torch."""

from __future__ import annotations

import numpy as np

from transfer_lab.advice.advice import Similarity
from transfer_lab.advice.features.networks import Network
from transfer_lab.similarity.reference import mean_of, placed, reference_of, unlikeness
from transfer_lab.similarity.samples import DegenerateError


def position(
    features: np.ndarray, network: Network, size: int, groups: np.ndarray | None = None
) -> Similarity | None:
    """Of features (images, d) at this image size: 0 where photographs of the reference lie, 1 where
    random pixels do, with its 95 % interval. Images of one of the `groups` count once.

    None where nothing is shipped of this network at this size, or where there are too few images.
    """
    reference = reference_of(network.sha256)
    if reference is None or size != reference.image_size:
        return None
    try:
        found = placed(reference, mean_of(unlikeness(reference.views, features), groups))
    except DegenerateError:
        return None
    return Similarity(position=found.value, low=found.low, high=found.high)
