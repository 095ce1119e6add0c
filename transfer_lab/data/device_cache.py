"""Where the examples that a phase reads again and again lie: on the device, if it has the room."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

SHARE = 0.25
"""The part of a device's unused memory that examples may take: the rest is for learning, and for
other workers on the same device."""
_BLOCK = 2**26

Batch = tuple[torch.Tensor, torch.Tensor]


def unused_memory(device: torch.device) -> int:
    """Bytes of a GPU that this process may still take: what is free, and what its allocator holds
    for later, within the part of the GPU that the process is kept to."""
    free, total = torch.cuda.mem_get_info(device)
    taken = torch.cuda.memory_allocated(device)
    allowed = int(torch.cuda.get_per_process_memory_fraction(device) * total) - taken
    return min(free + torch.cuda.memory_reserved(device) - taken, allowed)


class OnHost:
    """Examples in the memory of the host, or mapped into it: example i is `inputs[index[i]]` with
    `labels[i]`. A batch is read when it is asked for."""

    def __init__(self, inputs: np.ndarray | torch.Tensor, index: np.ndarray, labels: torch.Tensor):
        self.inputs, self.index, self.labels = inputs, index, labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, batch: torch.Tensor) -> Batch:
        """Inputs and labels of these examples."""
        return self.inputs_of(self.index[batch.numpy()]), self.labels[batch]

    def inputs_of(self, rows: np.ndarray | slice) -> torch.Tensor:
        """These rows of the inputs, copied."""
        return torch.as_tensor(self.inputs[rows])


class DeviceCache:
    """A part of a device's unused memory for the examples of a phase, all of them together.

    Examples come when they are first read, so that copying them counts as training where they are
    trained on; who finds no room is read from the host, batch by batch.
    """

    def __init__(self, device: torch.device, unused: Callable[[torch.device], int] = unused_memory):
        self.device, self._unused = device, unused
        self._guests: list[OnDevice] = []
        self._left: float | None = None

    def place(self, examples: OnHost) -> OnDevice:
        """The same examples, read from here if there is room when they are first read."""
        self._guests.append(OnDevice(examples, self))
        return self._guests[-1]

    def copies(self, examples: OnHost) -> Batch | None:
        """All inputs and labels, in order, on the device; None where they do not fit."""
        if not len(examples):
            return None
        if self._left is None:  # once: the guests themselves change it
            self._left = SHARE * self._unused(self.device)
        row = examples.inputs_of(examples.index[:1])
        size = len(examples) * (row.nbytes + examples.labels.element_size())
        if size > self._left:
            return None
        try:
            shape = (len(examples), *row.shape[1:])
            inputs = torch.empty(shape, dtype=row.dtype, device=self.device)
            step = max(1, _BLOCK // max(1, row.nbytes))
            for start in range(0, len(examples), step):
                rows = examples.index[start : start + step]
                inputs[start : start + step] = examples.inputs_of(rows).to(self.device)
            copies = inputs, examples.labels.to(self.device)
        except torch.OutOfMemoryError:  # another process was faster
            return None
        self._left -= size
        return copies

    def clear(self) -> None:
        """Give the memory back, whoever still holds a loader."""
        for guest in self._guests:
            guest.leave()
        self._guests.clear()
        self._left = None


class OnDevice:
    """Examples that lie on a device, if its room has taken them, and on the host otherwise.

    `copies`: what lies there.
    """

    def __init__(self, examples: OnHost, room: DeviceCache):
        self.examples, self.room = examples, room
        self.copies: Batch | None = None
        self._asked = False

    def __len__(self) -> int:
        return len(self.examples)

    def take(self, batch: torch.Tensor) -> Batch:
        """Inputs and labels of these examples: on the device only their numbers are sent there."""
        if not self._asked:
            self._asked, self.copies = True, self.room.copies(self.examples)
        if self.copies is None:
            return self.examples.take(batch)
        inputs, labels = self.copies
        batch = batch.to(self.room.device)
        return inputs[batch], labels[batch]

    def leave(self) -> None:
        """Be read from the host from now on."""
        self._asked, self.copies = True, None
