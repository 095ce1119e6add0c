"""Units that never fire: the usual cause of a network that answers always the same."""

from __future__ import annotations

import lightning as L
import torch
from torch import nn


class DeadUnits(L.Callback):
    """The share of rectified units (of a map: channels) that no test image makes positive.

    Of the stages that run on the test set; those whose output was computed before are left out.
    """

    def __init__(self):
        self._alive: dict[str, torch.Tensor] = {}
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    @property
    def share(self) -> float | None:
        """None where no rectified unit ran."""
        units = list(self._alive.values())
        return 1 - torch.cat(units).float().mean().item() if units else None

    def on_test_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        for name, layer in module.named_modules():
            if isinstance(layer, nn.ReLU | nn.ReLU6):
                self._hooks.append(layer.register_forward_hook(self._watch(name)))

    def on_test_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        for hook in self._hooks:
            hook.remove()

    def _watch(self, name: str):
        def note(_layer: nn.Module, _inputs: object, outputs: torch.Tensor) -> None:
            fires = outputs.flatten(2).amax(2) if outputs.dim() > 2 else outputs
            fires = (fires > 0).any(0)
            known = self._alive.get(name)
            self._alive[name] = fires if known is None else known | fires

        return note
