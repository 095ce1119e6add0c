"""The output of a frozen prefix, computed once instead of at every epoch and in every run."""

from __future__ import annotations

import contextlib
import hashlib
from functools import cached_property

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader

from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.frozen import FrozenPrefix, computed_by
from transfer_lab.data.base import ImageDomain, Section
from transfer_lab.data.device_cache import DeviceCache
from transfer_lab.experiment.spec import PROTOCOL
from transfer_lab.regimes.solved import Sample
from transfer_lab.store.feature_cache import FeatureCache, NoRoomError
from transfer_lab.system.device import Precision, device
from transfer_lab.training.accompanied import Accompanied

Computed = tuple[str, Section]
"""A frozen prefix, by its key, and the images that it was applied to."""


def prefix_key(backbone: Backbone, stop: int, precision: Precision = "fp32") -> str:
    """Hash of all that determines a prefix's output but the images: layers, tensors, transform,
    precision, kind of device and what computes it there."""
    digest = hashlib.sha256()
    known = (PROTOCOL, backbone.structure(stop), device().type, precision)
    known += computed_by(backbone, stop, device(), precision)
    digest.update(repr(known).encode())
    for name, tensor in backbone.stages[:stop].state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class FrozenFeatures(L.LightningDataModule):
    """A domain seen through a frozen prefix: its loaders give activations instead of images.

    Training and validation activations are computed in set-up for fitting, those of the test set
    in set-up for testing, so that neither falls into the fit's time and the test images are not
    read before the fit has ended. `costs` are the seconds that computing them takes, whether this
    run had to or another run had done it before. Where training images are augmented, and so
    differ at every epoch, the prefix runs at every training step. With `stop` 0 there is no prefix
    and the loaders are the domain's own. `like`: another domain that is read in step with this one,
    with which it shares the room on the device, and the prefix if that is the same. The domain's
    streams are seen through it, too, and a training batch is then one of each.
    """

    def __init__(
        self,
        domain: ImageDomain,
        backbone: Backbone,
        stop: int,
        rows: FeatureCache | None = None,
        precision: Precision = "fp32",
        like: FrozenFeatures | None = None,
    ):
        super().__init__()
        self.domain, self.backbone, self.stop, self._like = domain, backbone, stop, like
        self.rows, self.precision = rows or FeatureCache(None), precision
        self.costs: dict[Computed, float] = {}
        self._outputs: dict[Section, np.ndarray] = {}
        self._room = like._room if like else _room()
        self._accompanied: Accompanied | None = None
        self.streams = {
            role: FrozenFeatures(stream, backbone, stop, rows, precision, self)
            for role, stream in domain.streams.items()
        }

    def setup(self, stage: str) -> None:
        """Compute what the stage will read."""
        sections = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}[stage]
        for section in sections if self.stop else ():
            changing = section == "train" and self.domain.augment
            if section not in self._outputs and not changing:
                # Without room the prefix runs, frozen, whenever a batch is read.
                with contextlib.suppress(NoRoomError):
                    self._outputs[section] = self._computed(section)
        for role, stream in self.streams.items() if stage == "fit" else ():
            stream._setup_stream()
            # Of the same prefix and part: only the role tells its seconds from the target's.
            self.costs |= {(f"{key} {role}", part): s for (key, part), s in stream.costs.items()}

    def _setup_stream(self) -> None:
        """What of a stream is read: its training images, since nothing is validated on it."""
        if self.stop and not self.domain.augment:
            with contextlib.suppress(NoRoomError):
                self._outputs["train"] = self._computed("train")

    @property
    def is_stored(self) -> bool:
        """Whether what a fit reads has been computed, and is not at every epoch."""
        return {"train", "val"} <= self._outputs.keys()

    @property
    def images_beside(self) -> int:
        """Images of streams that were seen in steps."""
        return self._accompanied.seen if self._accompanied else 0

    def sample(self, section: Section) -> Sample:
        """All examples of a section as the prefix gives them; raises NoRoomError where its outputs
        could not be stored."""
        images, index, _ = self.domain.source_of(section)
        if self.stop and section not in self._outputs:
            raise NoRoomError(f"no room for the frozen outputs of {type(self.domain).__name__}")
        outputs = self._outputs[section] if self.stop else images
        return Sample(outputs, index, self.domain.section_labels(section))

    def train_dataloader(self) -> DataLoader | Accompanied:
        """Shuffled, and augmented, as the domain does it with its images."""
        target = self._loader("train")
        if not self.streams:
            return target
        streams = {role: stream._loader("train") for role, stream in self.streams.items()}
        self._accompanied = Accompanied(target, streams)
        return self._accompanied

    def val_dataloader(self) -> DataLoader:
        """In order."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        """In order."""
        return self._loader("test")

    def _loader(self, section: Section) -> DataLoader:
        room = self._room if section != "test" else None  # test images are read once
        if not self.stop or section in self._outputs:
            return self.domain.loader(section, self._outputs.get(section), room=room)
        return self.domain.loader(section, through=self._prefix.on_device, room=room)

    def leave_device(self) -> None:
        """Give back the device's memory that training and validation examples took."""
        if self._room:
            self._room.clear()

    @cached_property
    def _prefix(self) -> FrozenPrefix:
        if self._like and self._like.backbone is self.backbone:
            return self._like._prefix
        return FrozenPrefix(self.backbone, self.stop, device(), self.precision)

    @cached_property
    def _key(self) -> str:
        if self._like and self._like.backbone is self.backbone:
            return self._like._key
        return prefix_key(self.backbone, self.stop, self.precision)

    def _computed(self, section: Section) -> np.ndarray:
        images, index, identity = self.domain.source_of(section)
        batch = self._prefix.batch_size(self.domain.image_size)

        def compute(chosen: np.ndarray) -> np.ndarray:
            # Always as many images as a batch holds: the last digits of an output depend on that.
            padded = np.resize(chosen, batch)
            return self._prefix(torch.as_tensor(images[padded]))[: len(chosen)].contiguous().numpy()

        found = self.rows.rows(
            key=hashlib.sha256(f"{self._key} {identity}".encode()).hexdigest()[:24],
            shape=(len(images), *self.backbone.output_shape(self.domain.image_size, self.stop)),
            wanted=index,
            compute=compute,
            batch=batch,
        )
        self.costs[self._key, section] = found.seconds
        return found.array


def _room() -> DeviceCache | None:
    return DeviceCache(device()) if device().type != "cpu" else None
