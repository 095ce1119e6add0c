"""What the training photographs look like to the network, so that what is unlike all of them can be
told. No torch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

SHARE = 0.05
"""Of the training photographs that are further from all others than the threshold."""
_ROWS = 512


class Reference(NamedTuple):
    """Directions of the training photographs' features, float16, of length 1 (images, features),
    and the cosine distance to the nearest of them beyond which a photograph is unfamiliar."""

    directions: np.ndarray
    threshold: float

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Of each row (n, features), to the nearest training photograph, (n,)."""
        given, known = _directions(features), self.directions.astype(np.float32)
        parts = [given[at : at + _ROWS] @ known.T for at in range(0, len(given), _ROWS)]
        return 1 - np.concatenate([part.max(1) for part in parts]) if parts else np.zeros(0)

    def unfamiliar(self, features: np.ndarray) -> np.ndarray:
        """Whether each row (n, features) is further than the threshold, (n,)."""
        return self.distances(features) > self.threshold


def reference(features: np.ndarray, groups: np.ndarray | None = None) -> Reference:
    """Of the training photographs' features (images, features). The threshold is what all but
    SHARE of them keep within when they are held out, with their near-copies where `groups`
    (images,) numbers them."""
    directions = _directions(features).astype(np.float16)
    own = directions.astype(np.float32)
    number = np.arange(len(own)) if groups is None else groups
    nearest = []
    for at in range(0, len(own), _ROWS):
        likeness = own[at : at + _ROWS] @ own.T
        likeness[number[at : at + _ROWS, None] == number[None]] = -1
        nearest.append(likeness.max(1))
    threshold = float(np.quantile(1 - np.concatenate(nearest), 1 - SHARE))
    return Reference(directions, threshold)


def reference_content(known: Reference) -> bytes:
    """The file."""
    written = io.BytesIO()
    np.savez_compressed(written, directions=known.directions, threshold=known.threshold)
    return written.getvalue()


def read_reference(path: Path) -> Reference:
    """From the file."""
    with np.load(path, allow_pickle=False) as arrays:
        return Reference(arrays["directions"], float(arrays["threshold"]))


def _directions(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.maximum(lengths, 1e-12)).astype(np.float32)
