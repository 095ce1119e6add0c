"""What all replays share: rendered letters as tensors, one training loop, accuracies.

The networks are plain PyTorch, as in the listings; of the lab only the letters are used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transfer_lab.data.base import ImageDomain
from transfer_lab.data.letters import Cyrillic, Latin

LETTERS = "БГДЖЗИЛПФЦЧШЫЭЮЯ"
"""Of the target: 16 capitals that no Latin letter looks like."""
SIDE = 28
"""Of the images, in pixels: the first listing's network takes no other."""
POOL_PER_CLASS = 60
"""Training images of the target, of which each seed draws a few."""
BATCH = 16
Loss = Callable[[Tensor, Tensor], Tensor]
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class Set:
    """Images (n, 3, SIDE, SIDE), normalised, and their labels (n)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, places: Tensor | np.ndarray) -> Set:
        """Some of them."""
        places = torch.as_tensor(places)
        return Set(self.images[places], self.labels[places])


@dataclass(frozen=True, eq=False)
class Task:
    """Latin letters to learn first; of Cyrillic ones few to learn, some to choose rates by, and a
    test set that is read once for each accuracy.
    """

    source: Set
    pool: Set
    test: Set
    per_class: int
    epochs: int
    source_epochs: int
    source_classes: int = len(Latin.alphabet)
    classes: int = len(LETTERS)

    @classmethod
    def rendered(
        cls,
        *,
        per_class: int = 10,
        source_per_class: int = 60,
        test_per_class: int = 125,
        epochs: int = 10,
        source_epochs: int = 8,
    ) -> Task:
        """The letters as the lab renders them, `per_class` of each for a seed to learn from."""
        latin = Latin(SIDE, train_per_class=source_per_class, test_per_class=1)
        sizes = {"train_per_class": POOL_PER_CLASS, "test_per_class": test_per_class}
        cyrillic = Cyrillic(SIDE, letters=LETTERS, **sizes)
        pool, test = (_set(cyrillic, part) for part in ("train", "test"))
        return cls(_set(latin, "train"), pool, test, per_class, epochs, source_epochs)

    def drawn(self, seed: int) -> tuple[Set, Set]:
        """A seed's training images, and as many others that only choose between rates."""
        rng = np.random.default_rng(seed)
        labels = self.pool.labels.numpy()
        places = [rng.permutation(np.flatnonzero(labels == c)) for c in range(self.classes)]
        sections = (slice(self.per_class), slice(self.per_class, 2 * self.per_class))
        train, held_out = (np.concatenate([p[part] for p in places]) for part in sections)
        return self.pool.at(train), self.pool.at(held_out)


def _set(domain: ImageDomain, part: str) -> Set:
    images = torch.from_numpy(domain.make_images(part)).float()
    return Set((images / 255 - 0.5) / 0.25, torch.from_numpy(domain.labels(part)))


@cache
def pretrained(
    task: Task, build: Callable[[int], Network], optimizer: Callable[..., torch.optim.Optimizer]
) -> Network:
    """The source network, in eval mode: one for all seeds of the target, as in the lab's grids."""
    network = seeded(0, build, task.source_classes)
    train(network, optimizer(network), task.source, epochs=task.source_epochs, seed=0)
    return network.eval()


def seeded(seed: int, build: Callable[..., Network], *args: int) -> Network:
    """A network whose first weights depend on the seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(*args)


def adam(network: nn.Module) -> torch.optim.Optimizer:
    """At the rate that is its default in Keras and PyTorch both."""
    return torch.optim.Adam(network.parameters(), lr=1e-3)


def train(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Set,
    *,
    epochs: int,
    seed: int,
    batch_size: int = BATCH,
    loss: Loss = F.cross_entropy,
    steps: int | None = None,
    keep_zeros: bool = False,
) -> None:
    """The loop of the listings: batches in an order and with a dropout that depend on the seed
    alone. It calls neither `train()` nor `eval()`; `steps` end it early; `keep_zeros` sets
    gradients to zero, as PyTorch did before 2.0, where it now drops them.
    """
    torch.manual_seed(seed)
    taken = 0
    for _ in range(epochs):
        for places in torch.randperm(len(data)).split(batch_size):
            if taken == steps:
                return
            batch = data.at(places)
            optimizer.zero_grad(set_to_none=not keep_zeros)
            loss(network(batch.images), batch.labels).backward()
            optimizer.step()
            taken += 1


@torch.no_grad()
def accuracy(network: nn.Module, data: Set, *, seed: int = 0) -> float:
    """Share of right answers in %, in the modes that the network's modules are in."""
    torch.manual_seed(seed)
    answers = torch.cat([network(images).argmax(1) for images in data.images.split(500)])
    return 100 * float((answers == data.labels).float().mean())


def unequal(one: nn.Module, other: nn.Module) -> int:
    """How many tensors, buffers included, differ in any bit between two networks of one shape."""
    theirs = other.state_dict()
    return sum(not torch.equal(value, theirs[key]) for key, value in one.state_dict().items())
