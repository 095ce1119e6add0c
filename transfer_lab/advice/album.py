"""Labelled photographs as a person hands them over: a folder of class folders, or a table. No
torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np


class RefusedError(ValueError):
    """What was handed over cannot be advised on; the message says in plain words what to do."""


@dataclass(frozen=True)
class Photo:
    """One file, the class that its owner gave it, and its content."""

    path: Path
    label: str
    sha256: str


@dataclass(frozen=True)
class Album:
    """Photographs in an order of their content alone, and what else was found beside them."""

    root: Path
    classes: tuple[str, ...]
    photos: tuple[Photo, ...]
    set_aside: tuple[tuple[Path, str], ...] = ()

    @cached_property
    def labels(self) -> np.ndarray:
        """The number of each photograph's class, int64."""
        number = {name: place for place, name in enumerate(self.classes)}
        return np.array([number[photo.label] for photo in self.photos], dtype=np.int64)
