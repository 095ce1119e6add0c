"""What a network makes of one image, whatever runs it. No torch."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np


class Seen(NamedTuple):
    """Of one image: probabilities (classes,) and features (features,)."""

    probabilities: np.ndarray
    features: np.ndarray


class Running(Protocol):
    """Takes one image (3, size, size), uint8. One at a time, so that no answer depends on what
    else is asked; it costs no time on a CPU."""

    def __call__(self, image: np.ndarray) -> Seen: ...
