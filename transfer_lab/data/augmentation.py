"""Random changes of training images, decided for every image on its own."""

from __future__ import annotations

import torch

from transfer_lab.experiment.budget import Augment


class Augmentation:
    """Flips and shifts uint8 batches (n, 3, size, size); one sequence of decisions from its seed,
    the same one wherever the images lie.

    torchvision's transforms make one decision a call, and so one for a whole batch.
    """

    def __init__(self, augment: Augment, seed: int):
        self.augment = augment
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        count, size = len(images), images.shape[-1]
        flipped = torch.rand(count, 1, generator=self.generator) < 0.5
        reach = max(1, round(self.augment.shift * size)) if self.augment.shift else 0
        moves = torch.randint(-reach, reach + 1, (2, count, 1), generator=self.generator)
        places = torch.arange(size)
        # What is shifted in repeats the edge: a black margin would be a feature of its own.
        rows, columns = (places + moves).clamp(0, size - 1)
        if self.augment.flip:
            columns = torch.where(flipped, columns.flip(1), columns)
        each, rows, columns = (
            places.to(images.device)
            for places in (torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None])
        )
        return images[each, :, rows, columns].permute(0, 3, 1, 2)
