"""How the learning parameters learn: optimiser and schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

_WARMUP = 0.05
OPEN_WARMUP = 10
"""Steps of the warm-up where the end of training is not known."""
_KERAS_DECAY = 1e-6

RecipeName = Literal["adamw_cosine", "keras_adam", "keras_sgd"]


def adamw_cosine(
    groups: list[dict[str, object]], weight_decay: float, steps: float
) -> tuple[Optimizer, LambdaLR]:
    """AdamW under a linear warm-up and a cosine to zero: the lab's own.

    Where no end is known (`steps` is infinite) the rate stays at its peak after the warm-up.
    """
    optimizer = torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)
    rate = _cosine if math.isfinite(steps) else _constant
    return optimizer, LambdaLR(optimizer, lambda step: rate(step, steps))


def keras_adam(
    groups: list[dict[str, object]], weight_decay: float, steps: float
) -> tuple[Optimizer, LambdaLR]:
    """Adam at a constant rate, no weight decay, as in listings of Keras."""
    optimizer = torch.optim.Adam(groups, eps=1e-7, fused=True)
    return optimizer, LambdaLR(optimizer, lambda _: 1.0)


def keras_sgd(
    groups: list[dict[str, object]], weight_decay: float, steps: float
) -> tuple[Optimizer, LambdaLR]:
    """Keras' `SGD(decay=1e-6, momentum=0.9, nesterov=True)`: rates fall as 1/(1 + decay t)."""
    optimizer = torch.optim.SGD(groups, lr=1.0, momentum=0.9, nesterov=True, fused=True)
    return optimizer, LambdaLR(optimizer, lambda step: 1 / (1 + _KERAS_DECAY * step))


RECIPES: dict[str, Callable[..., tuple[Optimizer, LambdaLR]]] = {
    "adamw_cosine": adamw_cosine,
    "keras_adam": keras_adam,
    "keras_sgd": keras_sgd,
}


def _constant(step: int, _: float) -> float:
    return min(1.0, (step + 1) / (OPEN_WARMUP + 1))


def _cosine(step: int, steps: float) -> float:
    warmup = max(1, math.ceil(_WARMUP * steps))
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
