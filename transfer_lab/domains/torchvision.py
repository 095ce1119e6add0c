"""torchvision's image classification datasets, by name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torchvision import datasets

from transfer_lab import host
from transfer_lab.decoding import middle_square
from transfer_lab.domains.base import ImageDomain, Part
from transfer_lab.domains.splits import held_out_test
from transfer_lab.listing import DataUnavailable
from transfer_lab.registry import suggest

TEST_FRACTION = 0.3

Ask = Mapping[str, Any]
"""Keyword arguments of a torchvision dataset's constructor."""


@dataclass(frozen=True)
class Recipe:
    """How a dataset's constructor is asked for its parts, and which attribute has the labels.

    Several training splits are joined in this order. Without `test` the dataset has no test set of
    its own.
    """

    labels: str
    train: tuple[Ask, ...]
    test: Ask | None = None


def _by_flag(labels: str, **more: str) -> Recipe:
    return Recipe(labels, ({"train": True, **more},), {"train": False, **more})


def _by_split(labels: str, train: str = "train", test: str = "test") -> Recipe:
    """`train` may name several splits, joined by a plus."""
    return Recipe(labels, tuple({"split": name} for name in train.split("+")), {"split": test})


def _whole(labels: str) -> Recipe:
    return Recipe(labels, ({},))


RECIPES: dict[str, Recipe] = {
    "CIFAR10": _by_flag("targets"),
    "CIFAR100": _by_flag("targets"),
    "Caltech101": _whole("y"),
    "Caltech256": _whole("y"),
    "Country211": _by_split("targets", "train+valid"),
    "DTD": _by_split("_labels", "train+val"),
    "EMNIST": _by_flag("targets", split="balanced"),
    "EuroSAT": _whole("targets"),
    "FGVCAircraft": _by_split("_labels", "trainval"),
    "FashionMNIST": _by_flag("targets"),
    "Flowers102": _by_split("_labels", "train+val"),
    "Food101": _by_split("_labels"),
    "GTSRB": _by_split("_samples"),
    "Imagenette": _by_split("_samples", test="val"),
    "KMNIST": _by_flag("targets"),
    "MNIST": _by_flag("targets"),
    "OxfordIIITPet": _by_split("_labels", "trainval"),
    "QMNIST": _by_flag("targets"),
    "RenderedSST2": _by_split("_samples", "train+val"),
    "SEMEION": _whole("labels"),
    "STL10": _by_split("labels"),
    "SVHN": _by_split("labels"),
    "StanfordCars": _by_split("_samples"),
    "USPS": _by_flag("targets"),
}


class _Contents(NamedTuple):
    classes: tuple[str, ...]
    labels: dict[Part, np.ndarray]
    index: dict[Part, np.ndarray]
    """Places in the joined training splits, or in the test split."""


class TorchvisionDataset(ImageDomain):
    """A dataset of `torchvision.datasets`, written `torchvision:CIFAR10`.

    Options: `name`: the dataset's name in torchvision; `root`: where its files lie, as torchvision
    lays them out; `test_fraction`: the part of every class that is the test set, for a dataset
    that has none of its own.
    """

    def __init__(
        self,
        image_size: int,
        *,
        name: str,
        root: str = "data",
        test_fraction: float | None = None,
    ):
        super().__init__(image_size)
        if name not in RECIPES:
            raise ValueError(f"no dataset '{name}' of torchvision; {suggest(name, RECIPES)}")
        if test_fraction is not None and RECIPES[name].test is not None:
            raise ValueError(f"test_fraction: {name} has a test set of its own")
        if test_fraction is not None and not 0 < test_fraction < 1:
            raise ValueError(f"test_fraction must lie between 0 and 1, not {test_fraction}")
        self.dataset, self.root = name, root
        self.test_fraction = TEST_FRACTION if test_fraction is None else test_fraction

    @property
    def classes(self) -> tuple[str, ...]:
        """torchvision's names of the classes, or their numbers where it has none."""
        return self._contents.classes

    @property
    def identity(self) -> dict[str, object]:
        # The labels as well: torchvision takes a half unpacked archive for a dataset.
        labels = {part: self.labels(part).tobytes() for part in ("train", "test")}
        hashes = {part: hashlib.sha256(found).hexdigest() for part, found in labels.items()}
        return {"name": self.dataset, "labels": hashes}

    @property
    def copies(self) -> None:
        """Not counted at every run; `transfer-lab data` does."""

    def labels(self, part: Part) -> np.ndarray:
        """Raises DataUnavailable where torchvision does not find the dataset."""
        return self._contents.labels[part]

    def make_images(self, part: Part) -> np.ndarray:
        """Raises DataUnavailable naming an image that cannot be read."""
        recipe, wanted = RECIPES[self.dataset], self._contents.index[part]
        asks = (recipe.test,) if part == "test" and recipe.test else recipe.train
        images = np.empty((len(wanted), 3, self.image_size, self.image_size), np.uint8)
        first = 0
        for ask in asks:
            found = _opened(self.dataset, ask, self.root)
            here = np.flatnonzero((wanted >= first) & (wanted < first + len(found)))
            _resize_into(images, here, found, wanted[here] - first, self.root)
            first += len(found)
        return images

    @cached_property
    def _contents(self) -> _Contents:
        return _contents(self.dataset, self.root, self.test_fraction)


@lru_cache(maxsize=32)
def _contents(name: str, root: str, test_fraction: float) -> _Contents:
    """Once per process: torchvision reads and checks all files of some datasets to open them. Only
    labels are kept."""
    recipe = RECIPES[name]
    pools = [_opened(name, ask, root) for ask in recipe.train]
    labels = np.concatenate([_labels(pool, recipe) for pool in pools])
    names = _class_names(pools[0], labels)
    everything = np.arange(len(labels))
    if recipe.test is None:
        test = held_out_test(labels, test_fraction)
        parts = {"train": labels[~test], "test": labels[test]}
        return _Contents(names, parts, {"train": everything[~test], "test": everything[test]})
    pools.clear()
    tested = _labels(_opened(name, recipe.test, root), recipe)
    index = {"train": everything, "test": np.arange(len(tested))}
    return _Contents(names, {"train": labels, "test": tested}, index)


def _opened(name: str, ask: Ask, root: str) -> Any:
    """torchvision's dataset; raises DataUnavailable with what torchvision says."""
    try:
        if not Path(root).is_dir():
            raise FileNotFoundError("no such folder")  # some datasets would create it
        return getattr(datasets, name)(root, download=False, **ask)
    except Exception as error:  # a foreign parser on foreign files may raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = reason.partition(". You can use download=True")[0]  # said in our words below
        if download:
            raise _not_downloaded(name, root, reason) from error
