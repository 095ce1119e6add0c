"""One class of a folder of photographs against images of others."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from transfer_lab.data.base import Part
from transfer_lab.data.folder import Folder
from transfer_lab.data.splits import Split, nested_subset
from transfer_lab.system.image_folder import DataUnavailable, ImageFile

_FILES: dict[tuple[object, ...], dict[Part, tuple[ImageFile, ...]]] = {}
"""What was chosen, by all that determines it: a run has many such domains of one folder."""


class OneAgainstBackground(Folder):
    """One class of a folder as the object, and as many images of other classes, in the training
    pool and in the test set: its accuracy is balanced accuracy.

    The background is taken evenly from its classes, in an order of content that is another for
    every object. An image of the folder is in the training pool, or in the test set, of all such
    domains of one folder alike.

    Options: `object`: the object's class; `background`: classes of the background, all others
    unless given; `least_background`: how many images of the background are drawn at least, where
    fewer of the object are; the rest as `folder` has them.
    """

    def __init__(
        self,
        image_size: int,
        *,
        object: str,
        background: Sequence[str] | None = None,
        least_background: int = 1,
        **options: Any,
    ):
        super().__init__(image_size, **options)
        if least_background < 1:
            raise ValueError(f"least_background must be 1 or more, but is {least_background}")
        self.least_background = least_background
        known = self.listing.classes
        others = [name for name in known if name != object] if background is None else background
        if unknown := [name for name in (object, *others) if name not in known]:
            raise ValueError(
                f"{self.listing.root}: no class {', '.join(unknown)} in it; it has "
                f"{', '.join(known)}"
            )
        if object in others:
            raise ValueError(f"background: {object} is the object; take it out")
        self.object, self.background = object, tuple(others)
        self.classes = ("background", "object")

    def draw(
        self, *, per_class: int | Literal["all"], val_fraction: float, seed: int, **how: Any
    ) -> Split:
        """As usual, and of the background at least as many as that option says."""
        asked = {"per_class": per_class, "val_fraction": val_fraction, "seed": seed}
        split = super().draw(**asked, **how)
        if per_class != "all" and per_class < self.least_background:
            asked["per_class"] = self.least_background
            labels = self.labels("train")
            more = nested_subset(labels, **asked)
            self.split = Split(
                *(_joined(few, many, labels) for few, many in zip(split, more, strict=True))
            )
        return self.split

    @cached_property
    def files(self) -> dict[Part, tuple[ImageFile, ...]]:
        known = (self.listing.root, self.listing.fingerprint, self.broken, self.test_fraction)
        key = (*known, self.object, self.background)
        if key not in _FILES:
            _FILES[key] = {
                part: tuple(self._chosen(part, files)) for part, files in super().files.items()
            }
        return _FILES[key]

    def _chosen(self, part: Part, files: Iterable[ImageFile]) -> list[ImageFile]:
        by_class = defaultdict(list)
        for file in files:
            by_class[file.label].append(file)
        objects = by_class[self.object]
        ranked = [
            (rank, self._order(file), file)
            for name in self.background
            for rank, file in enumerate(sorted(by_class[name], key=self._order))
        ]
        ranked.sort(key=lambda one: one[:2])
        if len(ranked) < len(objects):
            raise DataUnavailable(
                f"{self.listing.root}: {len(ranked)} {part} images of the background against "
                f"{len(objects)} of {self.object}; name more classes in `background`"
            )
        others = [file for _, _, file in ranked[: len(objects)]]
        return [
            *(replace(file, label="background") for file in others),
            *(replace(file, label="object") for file in objects),
        ]

    def _order(self, file: ImageFile) -> str:
        return hashlib.sha256(f"{self.object} {file.sha256}".encode()).hexdigest()


def _joined(few: np.ndarray, many: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The objects of one draw with the background of another."""
    return np.sort(np.concatenate([few[labels[few] == 1], many[labels[many] == 0]]))
