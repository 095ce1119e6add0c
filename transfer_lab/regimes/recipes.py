"""How the learning parameters learn: optimiser and schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

_WARMUP = 0.05
_KERAS_DECAY = 1e-6

RecipeName = Literal["adamw_cosine", "keras_adam", "keras_sgd"]


def adamw_cosine(
    groups: list[dict[str, object]], weight_decay: float, steps: int
) -> tuple[Optimizer, LambdaLR]:
    """AdamW under a linear warm-up and a cosine to zero: the lab's own."""
    optimizer = torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)
    return optimizer, LambdaLR(optimizer, lambda step: _cosine(step, steps))


def keras_adam(
    groups: list[dict[str, object]], weight_decay: float, steps: int
) -> tuple[Optimizer, LambdaLR]:
    """Adam at a constant rate, no weight decay, as in listings of Keras."""
    optimizer = torch.optim.Adam(groups, eps=1e-7, fused=True)
    return optimizer, LambdaLR(optimizer, lambda _: 1.0)


def keras_sgd(
    groups: list[dict[str, object]], weight_decay: float, steps: int
) -> tuple[Optimizer, LambdaLR]:
    """Keras' `SGD(decay=1e-6, momentum=0.9, nesterov=True)`: rates fall as 1/(1 + decay t)."""
    optimizer = torch.optim.SGD(groups, lr=1.0, momentum=0.9, nesterov=True, fused=True)
    return optimizer, LambdaLR(optimizer, lambda step: 1 / (1 + _KERAS_DECAY * step))


RECIPES: dict[str, Callable[..., tuple[Optimizer, LambdaLR]]] = {
    "adamw_cosine": adamw_cosine,
    "keras_adam": keras_adam,
    "keras_sgd": keras_sgd,
}


def _cosine(step: int, steps: int) -> float:
    warmup = max(1, math.ceil(_WARMUP * steps))
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
