"""Texts: a folder of them, and docstrings that come with the lab. An image holds token ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from typing import Literal

import numpy as np

from transfer_lab.data.base import ImageDomain, Part
from transfer_lab.data.folder import Folder
from transfer_lab.data.splits import Split
from transfer_lab.data.tokens import VOCABULARY, encoded
from transfer_lab.experiment.budget import Augment
from transfer_lab.system.decode import BrokenImageError
from transfer_lab.system.image_folder import TEXTS, ImageFile

_TEST_TEXTS = 50
"""Docstrings of each topic in the test set."""


class TokenDomain(ImageDomain):
    """A domain whose images hold the ids of tokens, image_size**2 of them at most."""

    has_pixels = False

    @classmethod
    def joins(cls) -> bool:
        return True

    def draw(
        self,
        *,
        per_class: int | Literal["all"],
        val_fraction: float,
        batch_size: int,
        seed: int,
        augment: Augment | None = None,
    ) -> Split:
        """Raises ValueError where texts are to be augmented as photographs are."""
        if augment is not None:
            raise ValueError("texts cannot be flipped, shifted or recoloured: leave augment out")
        return super().draw(
            per_class=per_class, val_fraction=val_fraction, batch_size=batch_size, seed=seed
        )


class Texts(TokenDomain, Folder):
    """`<root>/{train,test}/<class>/*.txt`, or `<root>/<class>/*.txt` with a split by content hash.

    A file is a text, in UTF-8; its first image_size**2 tokens are read: 100 at image_size 10.

    Options: as those of `folder`. `broken`: whether a file that is empty or no UTF-8 is refused
    (`refuse`) or left out (`skip`).
    """

    kind = TEXTS

    @property
    def identity(self) -> dict[str, object]:
        return {**super().identity, "vocabulary": VOCABULARY}

    def decoded(
        self, files: Iterable[ImageFile], size: int
    ) -> Iterator[np.ndarray | BrokenImageError]:
        for file in files:
            try:
                yield encoded(_text(file), size)
            except BrokenImageError as error:
                yield error


class Docstrings(TokenDomain):
    """540 docstrings of SciPy, of six topics: interpolation, linear algebra, optimisation, signals,
    spatial data, statistics.

    The prose of a function, class or method up to its first heading, 400 characters at most, as in
    SciPy 1.17.1; whatever version is installed, these are read. Of the 90 of each topic the 50
    whose hashes come first are the test set, the other 40 the pool.

    No options.
    """

    classes = ("interpolate", "linalg", "optimize", "signal", "spatial", "stats")

    @property
    def identity(self) -> dict[str, object]:
        content = json.dumps(_docstrings(), sort_keys=True).encode()
        return {"content": hashlib.sha256(content).hexdigest(), "vocabulary": VOCABULARY}

    def labels(self, part: Part) -> np.ndarray:
        counts = [len(_part_of(name, part)) for name in self.classes]
        return np.repeat(np.arange(len(counts), dtype=np.int64), counts)

    def image_blocks(self, part: Part) -> Iterator[np.ndarray]:
        for name in self.classes:
            for text in _part_of(name, part):
                yield encoded(text, self.image_size)[None]


def _text(file: ImageFile) -> str:
    """Raises BrokenImageError for a file that is empty or no UTF-8."""
    try:
        text = file.read().decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise BrokenImageError(f"{file.path}: {error}") from error
    if not text:
        raise BrokenImageError(f"{file.path}: the file is empty")
    return text


@cache
def _docstrings() -> dict[str, list[str]]:
    """By topic, each in the order of their hashes."""
    file = resources.files("transfer_lab.data") / "docstrings.json"
    return json.loads(file.read_text(encoding="utf-8"))


def _part_of(topic: str, part: Part) -> list[str]:
    texts = _docstrings()[topic]
    return texts[:_TEST_TEXTS] if part == "test" else texts[_TEST_TEXTS:]
