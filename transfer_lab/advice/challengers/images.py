"""An album as a domain of the lab's: every photograph and its mirror image, cut by folds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from transfer_lab.advice.challengers.base import Tick
from transfer_lab.data.base import ImageDomain, Part, Section
from transfer_lab.data.batches import Change
from transfer_lab.data.device_cache import DeviceCache
from transfer_lab.data.image_cache import digest
from transfer_lab.data.splits import Split
from transfer_lab.system.decode import BrokenImageError, decode_files


class AlbumImages(ImageDomain):
    """Photographs that are trained on as they are and mirrored, and tested on as they are; `tick`
    hears of each that is decoded, and of every batch that is learnt from.

    `hashes`: of the files' contents, in their order: they are what is stored by. Image n + i is the
    mirror image of image i of n, made when it is asked for. Raises BrokenImageError for a file that
    cannot be read.
    """

    def __init__(
        self,
        image_size: int,
        paths: Sequence[Path],
        hashes: Sequence[str],
        labels: np.ndarray,
        classes: Sequence[str],
        *,
        cache: Path | None = None,
    ):
        super().__init__(image_size)
        self.paths, self.classes, self.cache = tuple(paths), tuple(classes), cache
        self._labels = np.concatenate([labels, labels])
        self._content = hashlib.sha256("".join(hashes).encode()).hexdigest()
        self.tested = np.arange(0)
        self.tick: Tick | None = None

    @property
    def identity(self) -> dict[str, object]:
        return {"content": self._content}

    @property
    def is_decoded(self) -> bool:
        """Whether the images are there, or stored."""
        if "train" in self._images:
            return True
        return (
            self.cache is not None and (self.cache / f"{digest(self._key('train'))}.npy").is_file()
        )

    def labels(self, part: Part) -> np.ndarray:
        return self._labels

    def image_blocks(self, part: Part) -> Iterator[np.ndarray]:
        for found in decode_files(self.paths, self.image_size):
            if isinstance(found, BrokenImageError):
                raise found
            if self.tick:
                self.tick(0)
            yield found[None]

    def choose(self, train: np.ndarray, test: np.ndarray, *, batch_size: int, seed: int) -> None:
        """Learn from these photographs and their mirror images; test on those. Batches and their
        order go by the seed."""
        self.split = Split(np.concatenate([train, train + len(self.paths)]), np.arange(0))
        self.tested, self.batch_size, self.seed = test, batch_size, seed

    def loader(
        self,
        section: Section,
        outputs: np.ndarray | None = None,
        *,
        through: Change | None = None,
        room: DeviceCache | None = None,
    ) -> DataLoader:
        """As any domain's; `tick` hears of a batch before it is used."""
        change = self._heard(through) if self.tick and section == "train" else through
        return super().loader(section, outputs, through=change, room=room)

    def _heard(self, through: Change | None) -> Change:
        def change(inputs: torch.Tensor) -> torch.Tensor:
            if self.tick:
                self.tick(len(inputs))
            return through(inputs) if through else inputs

        return change

    def _place(self, section: Section) -> tuple[Part, np.ndarray]:
        # One part for all: what is computed of an image in one fold serves the others.
        return ("train", self.tested) if section == "test" else super()._place(section)

    def _stored(self, part: Part) -> tuple[np.ndarray, float]:
        if part not in self._images:
            images, seconds = super()._stored(part)
            self._images[part] = _AndMirrored(images), seconds  # type: ignore[assignment]
        return self._images[part]

    def _shape(self, part: Part) -> tuple[int, ...]:
        return (len(self.paths), 3, self.image_size, self.image_size)


class _AndMirrored:
    """Images and behind them their mirror images, of which none is kept."""

    def __init__(self, images: np.ndarray):
        self.images = images

    def __len__(self) -> int:
        return 2 * len(self.images)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        chosen = np.array(self.images[rows % len(self.images)])
        mirrored = rows >= len(self.images)
        chosen[mirrored] = chosen[mirrored][..., ::-1]
        return chosen
