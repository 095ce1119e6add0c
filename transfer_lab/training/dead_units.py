"""Units that never fire: the usual cause of a network that answers always the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def dead_share(model: nn.Module, inputs: Tensor) -> float | None:
    """The share of rectified units (of a map: channels) that no input makes positive.

    Of the layers that run on these inputs; a layer that runs several times counts as several.
    None where no rectified unit runs.
    """
    fires: list[Tensor] = []

    def note(_layer: nn.Module, _inputs: object, outputs: Tensor) -> None:
        channels_last = outputs.movedim(1, -1) if outputs.dim() == 4 else outputs
        fires.append((channels_last > 0).flatten(0, -2).any(0))

    rectified = [m for m in model.modules() if isinstance(m, nn.ReLU | nn.ReLU6)]
    hooks = [layer.register_forward_hook(note) for layer in rectified]
    try:
        _without_training(model, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return 1 - torch.cat(fires).float().mean().item() if fires else None


def _without_training(model: nn.Module, inputs: Tensor) -> None:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        model(inputs)
    model.train(was_training)
