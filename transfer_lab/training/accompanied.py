"""Batches of the target, each with one of every stream that is seen beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader

Batch = tuple[torch.Tensor, torch.Tensor]


class Accompanied:
    """A pass over the target's batches; the streams go on from where the last pass left them, and
    round again, however long they are.

    It gives (inputs, labels, {role: (inputs, labels)}), and in the last, too, what a batch of the
    target brings with it: {kind: annotations}.
    """

    def __init__(self, target: DataLoader, streams: Mapping[str, DataLoader]):
        self.target = target
        self.seen = 0
        """Images of the streams so far."""
        self._endless = {role: _round_and_round(loader) for role, loader in streams.items()}

    def __len__(self) -> int:
        return len(self.target)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, dict[str, Any]]]:
        for inputs, labels, *known in self.target:
            beside = {role: next(batches) for role, batches in self._endless.items()}
            self.seen += sum(len(labels) for _, labels in beside.values())
            yield inputs, labels, beside | (known[0] if known else {})

    def __getattr__(self, name: str) -> Any:
        """What the target's loader has besides: hooks may ask for its `dataset`."""
        if name in ("target", "_endless"):  # while it is being copied
            raise AttributeError(name)
        return getattr(self.target, name)


def _round_and_round(loader: DataLoader) -> Iterator[Batch]:
    while True:
        # A loader draws from the global generator whenever it begins, of which a regime that is
        # switched off must see nothing.
        with torch.random.fork_rng(devices=[]):
            batches = iter(loader)
        yield from batches
