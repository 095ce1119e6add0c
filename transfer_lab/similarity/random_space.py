"""A feature space that belongs to no backbone: two layers of fixed random filters."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

_SIDE, _FILTERS, _GRID, _BATCH = 32, 32, 4, 64


def random_features(images: np.ndarray) -> np.ndarray:
    """Features (n, 1088) of uint8 images (n, 3, s, s): one function for all data and machines.

    Images are brought to 32 pixels. Of each layer's maps: means over a 4 x 4 grid, and the spread
    over the whole image.
    """
    first, second = _filters()
    found = []
    with torch.no_grad():
        for start in range(0, len(images), _BATCH):
            batch = torch.as_tensor(np.array(images[start : start + _BATCH])).float() / 255 - 0.5
            batch = F.interpolate(
                batch, (_SIDE, _SIDE), mode="bilinear", antialias=True, align_corners=False
            )
            one = F.relu(F.conv2d(batch, first, padding=2))
            two = F.relu(F.conv2d(F.max_pool2d(one, 2), second, padding=1))
            grids = [F.adaptive_avg_pool2d(maps, _GRID).flatten(1) for maps in (one, two)]
            spreads = [maps.std((2, 3)) for maps in (one, two)]
            found.append(torch.cat([*grids, *spreads], 1).numpy())
    return np.concatenate(found)


def _filters() -> tuple[torch.Tensor, torch.Tensor]:
    """Of length 1; those that see pixels have mean 0, and answer to structure, not brightness."""
    rng = np.random.default_rng(0)
    first = rng.standard_normal((_FILTERS, 3, 5, 5))
    first -= first.mean((1, 2, 3), keepdims=True)
    second = rng.standard_normal((_FILTERS, _FILTERS, 3, 3))
    return _of_length_one(first), _of_length_one(second)


def _of_length_one(filters: np.ndarray) -> torch.Tensor:
    lengths = np.sqrt((filters**2).sum((1, 2, 3), keepdims=True))
    return torch.from_numpy((filters / lengths).astype(np.float32))
