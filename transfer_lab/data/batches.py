"""Batches cut from arrays and tensors: one indexing operation a batch, no worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from transfer_lab.data.device_cache import DeviceCache, OnDevice, OnHost

Change = Callable[[torch.Tensor], torch.Tensor]
Known = Mapping[str, torch.Tensor]
"""What is known of examples beside their labels, by its kind."""
_NOTHING: Known = MappingProxyType({})


class EvenBatches(Sampler[torch.Tensor]):
    """Index batches that differ in size by one at most.

    A last batch of one image would break batch normalisation and weigh that image far more than
    the others. With a seed the order is reshuffled at every pass, the same for every regime.
    """

    def __init__(self, n: int, batch_size: int, shuffle_seed: int | None = None):
        # Two images at least, also where that makes a batch larger than asked for.
        self.n, self.count = n, max(min(1, n), min(-(-n // batch_size), n // 2))
        self.generator = None
        if shuffle_seed is not None:
            self.generator = torch.Generator().manual_seed(shuffle_seed)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[torch.Tensor]:
        if self.generator is None:
            order = torch.arange(self.n)
        else:
            order = torch.randperm(self.n, generator=self.generator)
        return iter(order.tensor_split(self.count) if self.n else ())


class _Changed(Dataset):
    def __init__(self, examples: OnHost | OnDevice, changes: Sequence[Change], known: Known):
        self.examples, self.changes, self.known = examples, changes, known

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(
        self, batch: torch.Tensor
    ) -> tuple[torch.Tensor | dict[str, torch.Tensor], ...]:
        chosen, labels = self.examples.take(batch)
        for change in self.changes:
            chosen = change(chosen)
        if not self.known:
            return chosen, labels
        return chosen, labels, {kind: values[batch] for kind, values in self.known.items()}


def batches(
    inputs: np.ndarray | torch.Tensor,
    labels: torch.Tensor,
    *,
    batch_size: int,
    index: np.ndarray | None = None,
    shuffle_seed: int | None = None,
    changes: Sequence[Change] = (),
    room: DeviceCache | None = None,
    known: Known = _NOTHING,
) -> DataLoader:
    """A loader of (inputs, labels) batches; shuffled anew every epoch if a seed is given.

    Example i is `inputs[index[i]]` with `labels[i]`; a memory-mapped `inputs` is read a batch at a
    time and never copied whole, unless there is `room` for the examples on a device. Every batch
    of inputs passes through the `changes`, in order. What is `known` of example i beside its label,
    at i, comes as a third part of its batch.
    """
    index = np.arange(len(labels)) if index is None else index
    sampler = EvenBatches(len(labels), batch_size, shuffle_seed)
    examples = OnHost(inputs, index, labels)
    placed = room.place(examples) if room else examples
    return DataLoader(_Changed(placed, changes, known), sampler=sampler, batch_size=None)
