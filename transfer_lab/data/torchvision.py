"""torchvision's image classification datasets, by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torchvision import datasets

from transfer_lab.data.base import ImageDomain, Part
from transfer_lab.data.image_cache import digest, stored_array
from transfer_lab.data.splits import held_out_test
from transfer_lab.experiment.catalog import suggest
from transfer_lab.system.decode import middle_square, on_all_cores
from transfer_lab.system.image_folder import DataUnavailable
from transfer_lab.system.network import reachable

TEST_FRACTION = 0.3
_MEASURED = 200

Ask = Mapping[str, Any]
"""Keyword arguments of a torchvision dataset's constructor."""


@dataclass(frozen=True)
class Recipe:
    """How a dataset's constructor is asked for its parts, and which attribute has the labels.

    Several training splits are joined in this order. Without `test` the dataset has no test set of
    its own. `url` is the host that it is downloaded from, to ask first whether that answers.
    """

    url: str
    labels: str
    train: tuple[Ask, ...]
    test: Ask | None = None

    @property
    def asks(self) -> tuple[Ask, ...]:
        """Every split that is opened."""
        return self.train if self.test is None else (*self.train, self.test)


def _by_flag(url: str, labels: str, **more: str) -> Recipe:
    return Recipe(url, labels, ({"train": True, **more},), {"train": False, **more})


def _by_split(url: str, labels: str, train: str = "train", test: str = "test") -> Recipe:
    """`train` may name several splits, joined by a plus."""
    asks = tuple({"split": name} for name in train.split("+"))
    return Recipe(url, labels, asks, {"split": test})


def _whole(url: str, labels: str) -> Recipe:
    return Recipe(url, labels, ({},))


_OXFORD, _TORONTO = "https://www.robots.ox.ac.uk", "https://www.cs.toronto.edu"
_CALTECH, _OPENAI = "https://data.caltech.edu", "https://openaipublic.azureedge.net"
_NOWHERE = ""

RECIPES: dict[str, Recipe] = {
    "CIFAR10": _by_flag(_TORONTO, "targets"),
    "CIFAR100": _by_flag(_TORONTO, "targets"),
    "Caltech101": _whole(_CALTECH, "y"),
    "Caltech256": _whole(_CALTECH, "y"),
    "Country211": _by_split(_OPENAI, "targets", "train+valid"),
    "DTD": _by_split(_OXFORD, "_labels", "train+val"),
    "EMNIST": _by_flag("https://biometrics.nist.gov", "targets", split="balanced"),
    "EuroSAT": _whole("https://huggingface.co", "targets"),
    "FGVCAircraft": _by_split(_OXFORD, "_labels", "trainval"),
    "FashionMNIST": _by_flag(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com", "targets"
    ),
    "Flowers102": _by_split(_OXFORD, "_labels", "train+val"),
    "Food101": _by_split("http://data.vision.ee.ethz.ch", "_labels"),
    "GTSRB": _by_split("https://sid.erda.dk", "_samples"),
    "Imagenette": _by_split("https://s3.amazonaws.com", "_samples", test="val"),
    "KMNIST": _by_flag("http://codh.rois.ac.jp", "targets"),
    "MNIST": _by_flag("https://ossci-datasets.s3.amazonaws.com", "targets"),
    "OxfordIIITPet": _by_split(_OXFORD, "_labels", "trainval"),
    "QMNIST": _by_flag("https://raw.githubusercontent.com", "targets"),
    "RenderedSST2": _by_split(_OPENAI, "_samples", "train+val"),
    "SEMEION": _whole("http://archive.ics.uci.edu", "labels"),
    "STL10": _by_split("http://ai.stanford.edu", "labels"),
    "SVHN": _by_split("http://ufldl.stanford.edu", "labels"),
    "StanfordCars": _by_split(_NOWHERE, "_samples"),
    "USPS": _by_flag("https://www.csie.ntu.edu.tw", "targets"),
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
    def copies(self) -> int:
        """Test images that equal one of the training pool at this size; counted once and stored."""
        name = digest({"copies": [self._key(part) for part in ("train", "test")]})
        found, _ = stored_array(self.cache, name, self._counted_copies)
        return int(found[0])

    def _counted_copies(self) -> np.ndarray:
        train, test = (
            [
                hashlib.blake2b(image.tobytes(), digest_size=16).digest()
                for image in self._stored(part)[0]
            ]
            for part in ("train", "test")
        )
        known = set(train)
        return np.array([sum(image in known for image in test)])

    def original_sizes(self) -> list[tuple[int, int]]:
        found = _opened(self.dataset, RECIPES[self.dataset].train[0], self.root)
        places = np.linspace(0, len(found) - 1, min(len(found), _MEASURED)).astype(int)
        return [found[int(place)][0].size for place in places]

    def labels(self, part: Part) -> np.ndarray:
        """Raises DataUnavailable where torchvision does not find the dataset."""
        return self._contents.labels[part]

    def fetch(self) -> None:
        """Download the dataset unless it is there; raises DataUnavailable."""
        try:
            self.labels("train")
        except DataUnavailable:
            recipe = RECIPES[self.dataset]
            if recipe.url and not reachable(recipe.url):
                problem = f"{recipe.url} cannot be reached"
                raise _not_downloaded(self.dataset, self.root, problem) from None
            for ask in recipe.asks:
                _opened(self.dataset, ask, self.root, download=True)

    def image_blocks(self, part: Part) -> Iterator[np.ndarray]:
        """Raises DataUnavailable naming an image that cannot be read."""
        recipe, wanted = RECIPES[self.dataset], self._contents.index[part]
        asks = (recipe.test,) if part == "test" and recipe.test is not None else recipe.train
        first = 0
        for ask in asks:  # the places are in order, and so are the splits that they count through
            found = _opened(self.dataset, ask, self.root)
            here = wanted[(wanted >= first) & (wanted < first + len(found))] - first
            yield from _resized(found, here.tolist(), self.image_size, self.root)
            first += len(found)

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


def _opened(name: str, ask: Ask, root: str, *, download: bool = False) -> Any:
    """torchvision's dataset; raises DataUnavailable with what torchvision says."""
    try:
        if not download and not Path(root).is_dir():
            raise FileNotFoundError("no such folder")  # some datasets would create it
        return getattr(datasets, name)(root, download=download, **ask)
    except Exception as error:  # a foreign parser on foreign files may raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = reason.partition(". You can use download=True")[0]  # said in our words below
        if download:
            raise _not_downloaded(name, root, reason) from error
        raise DataUnavailable(
            f"{Path(root).absolute()}: torchvision does not find its {name} there ({reason}); "
            "fetch it with --download, or put its files there"
        ) from error


def _not_downloaded(name: str, root: str, reason: str) -> DataUnavailable:
    return DataUnavailable(
        f"{Path(root).absolute()}: torchvision's {name} cannot be downloaded ({reason}); put its "
        "files there by hand"
    )


def _labels(found: Any, recipe: Recipe) -> np.ndarray:
    values = getattr(found, recipe.labels)
    if recipe.labels == "_samples":
        values = [label for _, label in values]
    # Where there are several columns (QMNIST), the first is the class.
    return np.asarray(values).reshape(len(found), -1)[:, 0].astype(np.int64)


def _class_names(found: Any, labels: np.ndarray) -> tuple[str, ...]:
    names = getattr(found, "classes", None) or getattr(found, "categories", None)
    if names is None:
        names = range(int(labels.max()) + 1)
    return tuple(name[0] if isinstance(name, tuple) else str(name) for name in names)


def _resized(found: Any, members: list[int], size: int, root: str) -> Iterator[np.ndarray]:
    """The dataset's members, one after another, resized, decoded on all cores."""

    def one(member: int) -> np.ndarray:
        try:
            return middle_square(found[member][0], size)[None]
        except Exception as error:  # a foreign parser on a foreign file may raise anything
            kind = type(found).__name__
            raise DataUnavailable(
                f"{Path(root).absolute()}: image {member} of {kind} cannot be read ({error}); "
                "remove the dataset's folder and fetch it again with --download"
            ) from error

    yield from on_all_cores(one, members)
