"""Features of invented classes: Gaussian clouds, with near-copies where asked for."""

from __future__ import annotations

import numpy as np


def clouds(
    per_class: int, classes: int, apart: float, *, copies: int = 1, seed: int = 0, width: int = 40
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (n, width), labels and groups: `per_class` groups of `copies` near-copies in every
    class, whose centres are `apart` standard deviations from the middle."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, width))
    centres *= apart / np.linalg.norm(centres, axis=1, keepdims=True)
    labels = np.repeat(np.arange(classes), per_class)
    features = centres[labels] + draw.normal(size=(len(labels), width))
    groups = np.repeat(np.arange(len(labels)), copies)
    near = np.repeat(features, copies, axis=0)
    near = near + 0.01 * draw.normal(size=near.shape)
    return near.astype(np.float32), np.repeat(labels, copies), groups
