"""What every domain shares: the fixed test set, the seeded subset, the loaders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader

from transfer_lab.data.annotations import boxes_of
from transfer_lab.data.augmentation import Augmentation
from transfer_lab.data.batches import Change, batches
from transfer_lab.data.device_cache import DeviceCache
from transfer_lab.data.image_cache import digest, in_memory, stored_images
from transfer_lab.data.splits import Split, nested_subset
from transfer_lab.experiment.budget import Augment
from transfer_lab.experiment.registry import Annotation
from transfer_lab.experiment.seeds import derive

Part = Literal["train", "test"]
Section = Literal["train", "val", "test"]


_EVAL_BATCH = 256


class ImageDomain(L.LightningDataModule, ABC):
    """A dataset of uint8 RGB images with a training pool and one fixed test set.

    A subclass says its `classes`, the `labels` of each part (cheap: the plan is checked with them)
    and how to make its `image_blocks`. Its keyword-only constructor arguments are its options in
    YAML.
    `classes` are in label order. Images are (n, 3, image_size, image_size), uint8.
    """

    classes: tuple[str, ...]
    annotates: tuple[Annotation, ...] = ()
    """What it knows of its images beside their classes: of `boxes` and `masks` those that it has. A
    subclass that has masks says its `mask_blocks`; one that has boxes alone, its `annotation`."""
    has_pixels: bool = True
    """Whether its images are to be looked at; those of texts hold token ids."""
    version: int = 1
    """Raised when `image_blocks` changes what it makes."""
    origin: Mapping[str, str] = MappingProxyType({})
    """What code that is not the lab's own and its data are known by, filled in by its builder."""

    def __init__(self, image_size: int):
        super().__init__()
        self.image_size = image_size
        self.cache: Path | None = None
        self.split: Split | None = None
        self.batch_size, self.seed = 64, 0
        self.augment: Augment | None = None
        self.streams: dict[str, ImageDomain] = {}
        """What a regime sees beside these images, drawn, by role."""
        self.hides_labels = False
        """Whether labels are read by none but the test: those of training and validation are -1."""
        self.annotations: tuple[Annotation, ...] = ()
        """Of what it knows beside classes, that which comes with every batch of training images."""
        self._images: dict[Part, tuple[np.ndarray, float]] = {}

    @property
    @abstractmethod
    def identity(self) -> dict[str, object]:
        """All that determines the images, for the key of the stored array."""

    @abstractmethod
    def labels(self, part: Part) -> np.ndarray:
        """Class indices of a part, int64, in image order."""

    @abstractmethod
    def image_blocks(self, part: Part) -> Iterator[np.ndarray]:
        """The images of a part in the order of `labels`, uint8, (any number, 3, image_size,
        image_size) at a time: no more of them are held in memory than one such block."""

    def mask_blocks(self, part: Part) -> Iterator[np.ndarray]:
        """Which pixels show the object of an image: uint8, 0 or 1, (any number, image_size,
        image_size) at a time, in the order of `labels`; raises ValueError where that is not known.
        """
        raise ValueError(f"{type(self).__name__} knows no masks of its images")

    def annotation(self, kind: Annotation, part: Part) -> np.ndarray:
        """Masks (n, image_size, image_size), uint8, of a part; or boxes (n, 4), float32: left, top,
        right and bottom as parts of the image's side, by default the tightest around the masks."""
        masks = self._masks(part)
        return boxes_of(masks) if kind == "boxes" else masks

    def make_images(self, part: Part) -> np.ndarray:
        """All images of a part at once, in memory."""
        return in_memory(self._shape(part), self.image_blocks(part))[0]

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def draw(
        self,
        *,
        per_class: int | Literal["all"],
        val_fraction: float,
        batch_size: int,
        seed: int,
        augment: Augment | None = None,
    ) -> Split:
        """Choose this seed's subset, batch order and random changes of the training images; none
        depends on regime or backbone.

        Raises SubsetError where a class has too few images.
        """
        self.split = nested_subset(self.labels("train"), per_class, val_fraction, seed)
        self.batch_size, self.seed, self.augment = batch_size, seed, augment
        return self.split

    @classmethod
    def joins(cls) -> bool:
        """Whether pool and test set may be taken as one, for folds: where images are drawn as
        usual."""
        return cls.draw is ImageDomain.draw

    def groups(self, part: Part) -> list[str] | None:
        """For each image of a part the group that it belongs to, of which folds divide none; None
        where nothing is known of groups."""
        return None

    def pool(self) -> np.ndarray:
        """Places within the part `train` of all images that may be learnt from."""
        return np.arange(len(self.labels("train")))

    @property
    def copies(self) -> int:
        """Test images that the training pool holds as well; rendered ones have none."""
        return 0

    def original_sizes(self) -> list[tuple[int, int]]:
        """Width and height of some of the images as they were taken; none for rendered ones."""
        return []

    @property
    def set_aside(self) -> int:
        """Images that could not be read and were left out of training pool and test set."""
        return 0

    def section_labels(self, section: Section) -> torch.Tensor:
        """Labels of the drawn training or validation images, -1 where they are hidden, or of the
        test set."""
        part, index = self._place(section)
        if self.hides_labels and section != "test":
            return torch.full((len(index),), -1)
        return torch.from_numpy(self.labels(part)[index])

    def section_annotations(self, section: Section) -> dict[str, torch.Tensor]:
        """Of the drawn training or validation images, or the test set: what is known beside classes
        and asked for in `annotations`, as `annotation` has it, by kind."""
        part, index = self._place(section)
        return {k: torch.from_numpy(self.annotation(k, part)[index]) for k in self.annotations}

    def decode_seconds(self, section: Section) -> float:
        """Seconds that making this section's images costs when nothing is stored yet."""
        part, index = self._place(section)
        images, seconds = self._stored(part)
        return seconds * len(index) / len(images)

    def fetch(self) -> None:
        """Download the data if they are published and absent; raises DataUnavailable."""

    def prepare_data(self) -> None:
        """Make all images once, into the stored arrays that every run and process maps.

        Raises DataUnavailable where they cannot be made.
        """
        for part in ("train", "test"):
            self._stored(part)

    def train_dataloader(self) -> DataLoader:
        """The drawn training images in this seed's shuffled order."""
        return self.loader("train")

    def val_dataloader(self) -> DataLoader:
        """The drawn validation images."""
        return self.loader("val")

    def test_dataloader(self) -> DataLoader:
        """The fixed test set."""
        return self.loader("test")

    def loader(
        self,
        section: Section,
        outputs: np.ndarray | None = None,
        *,
        through: Change | None = None,
        room: DeviceCache | None = None,
    ) -> DataLoader:
        """Batches of (images, labels), or of (outputs, labels) if a prefix's outputs for the whole
        part are given, in the part's order; `through`: the prefix itself, for images that change
        at every epoch; `room`: where the section may lie while it is read again and again.

        Shuffled, and augmented if the draw says so, for training, with the `annotations` of the
        images as a third part of each batch, by kind; in order and as they are otherwise.

        Raises ValueError where annotated images would be augmented.
        """
        images, index, _ = self.source_of(section)
        training = section == "train"
        changes = [through] if through else []
        if training and outputs is None and self.augment:
            if self.annotations:
                known = " and ".join(self.annotations)
                raise ValueError(f"{known} would not move with augmented images: leave augment out")
            changes.insert(0, Augmentation(self.augment, derive(self.seed, "augment")))
        return batches(
            images if outputs is None else outputs,
            self.section_labels(section),
            index=index,
            batch_size=self.batch_size if training else _EVAL_BATCH,
            shuffle_seed=derive(self.seed, "batches") if training else None,
            changes=changes,
            room=room,
            known=self.section_annotations(section) if training else {},
        )

    def source_of(self, section: Section) -> tuple[np.ndarray, np.ndarray, str]:
        """All images of the part that a section is of, the section's places in it, and the hash
        of what determines the images."""
        part, index = self._place(section)
        return self._stored(part)[0], index, digest(self._key(part))

    def _place(self, section: Section) -> tuple[Part, np.ndarray]:
        if section == "test":
            return "test", np.arange(len(self.labels("test")))
        if self.split is None:
            raise RuntimeError("draw() chooses the training images; call it first")
        return "train", getattr(self.split, section)

    def _stored(self, part: Part) -> tuple[np.ndarray, float]:
        if part not in self._images:
            name, blocks = digest(self._key(part)), lambda: self.image_blocks(part)
            self._images[part] = stored_images(self.cache, name, self._shape(part), blocks)
        return self._images[part]

    def _masks(self, part: Part) -> np.ndarray:
        size = self.image_size
        name = digest(self._key(part) | {"annotation": "masks"})
        shape = (len(self.labels(part)), size, size)
        return stored_images(self.cache, name, shape, lambda: self.mask_blocks(part))[0]

    def _shape(self, part: Part) -> tuple[int, ...]:
        return (len(self.labels(part)), 3, self.image_size, self.image_size)

    def _key(self, part: Part) -> dict[str, object]:
        return {
            "domain": type(self).__name__,
            "version": self.version,
            "part": part,
            "image_size": self.image_size,
            **self.identity,
            **self.origin,
        }
