"""k-fold cross-validation: pool and test set as one, of which a fold is tested on and the rest is
the pool."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from transfer_lab.data.base import ImageDomain, Part, Section
from transfer_lab.data.image_cache import digest, stored_array
from transfer_lab.data.partition import partition
from transfer_lab.data.splits import Split, SubsetError, nested_subset
from transfer_lab.experiment.registry import Annotation
from transfer_lab.system.pixel_hash import hashes

_PARTS: tuple[Part, Part] = ("train", "test")


class Fold(NamedTuple):
    """One of `folds` parts, by its number from 0."""

    folds: int
    number: int


class Folded(ImageDomain):
    """All images of another domain, of which those of a fold are the test set.

    The seed of the draw divides them: each seed is a partition of its own, stratified by class;
    copies of an image, and images of a group, are in one fold. The subset is drawn from the rest
    by the rules that hold for a pool. Raises ValueError for a domain that draws its images in a way
    of its own.
    """

    def __init__(self, whole: ImageDomain, fold: Fold):
        self.whole, self.fold = whole, fold
        super().__init__(whole.image_size)
        if not whole.joins():
            raise ValueError(
                f"{type(whole).__name__} draws its images in a way of its own, which folds would "
                "pass over: leave folds out, or take another target"
            )
        self.classes, self.annotates = whole.classes, whole.annotates
        self.version, self.origin = whole.version, whole.origin
        self._tested: np.ndarray | None = None

    @property
    def cache(self) -> Path | None:
        """Where images are kept; the other domain's place as well."""
        return self.whole.cache

    @cache.setter
    def cache(self, folder: Path | None) -> None:
        self.whole.cache = folder

    @property
    def identity(self) -> dict[str, object]:
        return self.whole.identity

    @property
    def set_aside(self) -> int:
        return self.whole.set_aside

    def fetch(self) -> None:
        self.whole.fetch()

    def original_sizes(self) -> list[tuple[int, int]]:
        return self.whole.original_sizes()

    def labels(self, part: Part) -> np.ndarray:
        """Of all images (`train`), or of the drawn fold (`test`)."""
        every = np.concatenate([self.whole.labels(one) for one in _PARTS])
        return every if part == "train" else every[self._fold()]

    def pool(self) -> np.ndarray:
        """All but the drawn fold's."""
        return np.setdiff1d(np.arange(len(self.labels("train"))), self._fold())

    def image_blocks(self, part: Part) -> Iterator[np.ndarray]:
        return chain.from_iterable(self.whole.image_blocks(one) for one in _PARTS)

    def mask_blocks(self, part: Part) -> Iterator[np.ndarray]:
        return chain.from_iterable(self.whole.mask_blocks(one) for one in _PARTS)

    def annotation(self, kind: Annotation, part: Part) -> np.ndarray:
        """Of all images, in their order."""
        return np.concatenate([self.whole.annotation(kind, one) for one in _PARTS])

    def prepare_data(self) -> None:
        self._stored("train")

    def draw(self, *, seed: int, **how: Any) -> Split:
        """Divide the images, and choose this seed's subset of what is not in the fold."""
        # Whatever the domain refuses is refused.
        self.whole.draw(seed=seed, **how | {"per_class": "all"})
        labels, chosen = self.labels("train"), self.partition(seed)
        self._tested = np.flatnonzero(chosen == self.fold.number)
        rest = np.flatnonzero(chosen != self.fold.number)
        found = nested_subset(labels[rest], how["per_class"], how["val_fraction"], seed)
        self.split = Split(rest[found.train], rest[found.val])
        self.batch_size, self.seed = how["batch_size"], seed
        self.augment = how.get("augment")
        return self.split

    def partition(self, seed: int) -> np.ndarray:
        """The fold of every image under a seed; raises SubsetError where a class lies in fewer
        groups than there are folds."""
        labels, together, folds = self.labels("train"), self.together, self.fold.folds
        for number, name in enumerate(self.classes):
            held = len(np.unique(together[labels == number]))
            if held < folds:
                raise SubsetError(
                    f"class {name} has {held} images, or groups of images that belong together, "
                    f"which cannot be divided into {folds} folds: ask for fewer, or leave it out"
                )
        return partition(labels, together, folds, seed)

    def least(self, seed: int) -> np.ndarray:
        """Images per class that every fold leaves at least."""
        labels, chosen = self.labels("train"), self.partition(seed)
        held = np.zeros((self.fold.folds, self.num_classes), dtype=np.int64)
        np.add.at(held, (chosen, labels), 1)
        return held.sum(axis=0) - held.max(axis=0)

    @property
    def together(self) -> np.ndarray:
        """A number an image, equal for copies and for those of a group."""
        named = [self.whole.groups(part) for part in _PARTS]
        copies = self._copies()
        if any(names is None for names in named):
            return copies
        return joined(copies, list(chain.from_iterable(named)))

    def _copies(self) -> np.ndarray:
        """A number an image, equal for images of the same pixels; found once and stored."""

        def find() -> np.ndarray:
            known: dict[bytes, int] = {}
            found = hashes(np.asarray(self._stored("train")[0]))
            return np.array([known.setdefault(one, len(known)) for one in found], dtype=np.int64)

        return stored_array(self.cache, digest(self._key("train") | {"copies": True}), find)[0]

    def _fold(self) -> np.ndarray:
        if self._tested is None:
            raise RuntimeError("draw() divides the images; call it first")
        return self._tested

    def _place(self, section: Section) -> tuple[Part, np.ndarray]:
        return ("train", self._fold()) if section == "test" else super()._place(section)

    def _shape(self, part: Part) -> tuple[int, ...]:
        first, second = (self.whole._shape(one) for one in _PARTS)
        return (first[0] + second[0], *first[1:])

    def _key(self, part: Part) -> dict[str, object]:
        return {"joined": [self.whole._key(one) for one in _PARTS]}


def joined(copies: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """A number an image, equal for those that copies and names of groups link, however many links
    lie between."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, groups = np.unique(np.asarray(names), return_inverse=True)
    links = (np.ones(len(copies)), (copies, copies.max() + 1 + groups))
    size = copies.max() + 2 + groups.max()
    return connected_components(coo_array(links, shape=(size, size)), directed=False)[1][copies]
