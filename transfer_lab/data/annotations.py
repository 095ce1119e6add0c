"""What is known of images beside their classes: masks of their objects, and boxes around those."""

from __future__ import annotations

import numpy as np


def boxes_of(masks: np.ndarray) -> np.ndarray:
    """(n, 4) float32: left, top, right and bottom of what is set in masks (n, size, size), as parts
    of the image's side; the tightest box, nothing but zeros around nothing."""
    size = masks.shape[1]
    found = np.zeros((len(masks), 4), np.float32)
    for first, lines in enumerate((masks.any(1), masks.any(2))):  # columns, then rows
        found[:, first] = lines.argmax(1)
        found[:, first + 2] = size - lines[:, ::-1].argmax(1)
    return found / size * masks.any((1, 2))[:, None]
