"""A model's folder, read: what it answers to photographs. No torch where onnxruntime answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from transfer_lab.advice.model.manifest import (
    REFERENCE,
    Manifest,
    ModelFolderError,
    read_manifest,
    whole,
)
from transfer_lab.advice.model.reference import Reference, read_reference
from transfer_lab.advice.model.running import running
from transfer_lab.advice.model.seen import Running
from transfer_lab.system.decode import BrokenImageError, decode_files

if TYPE_CHECKING:
    import pandas as pd

TOP = 3
"""Classes that are named of a photograph, the answer included."""

_NO_IMAGE = "no image, or of a kind that is not known"


class Answer(NamedTuple):
    """Of one file. `alternatives`: further classes, the likeliest first, with their probabilities.
    `unfamiliar`: whether it is unlike all training photographs; None where that is not known. Of a
    file that cannot be read only `path` and `error` say anything."""

    path: str
    label: str | None
    probability: float
    alternatives: tuple[tuple[str, float], ...]
    unfamiliar: bool | None
    error: str | None


class Model:
    """A trained model, ready to answer; see `load_model`."""

    def __init__(self, folder: Path, manifest: Manifest, network: Running, known: Reference | None):
        self.folder, self.manifest = folder, manifest
        self._network, self._known = network, known

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that it answers with."""
        return self.manifest.classes

    def predict(self, paths: Iterable[Path | str], *, top: int = TOP) -> pd.DataFrame:
        """One row a file, in order: path, class, probability, alternatives (pairs of class and
        probability), unfamiliar, error. A file that cannot be read is a row with an error."""
        return frame(self.answers(paths, top=top))

    def answers(self, paths: Iterable[Path | str], *, top: int = TOP) -> Iterator[Answer]:
        """An answer to each file, in order, as they come; files are read a few ahead."""
        if top < 1:
            raise ValueError(f"top must be 1 or more, and is {top}")
        asked = [Path(path) for path in paths]
        for path, image in zip(asked, decode_files(asked, self.manifest.image_size), strict=True):
            if isinstance(image, BrokenImageError):
                yield Answer(str(path), None, math.nan, (), None, _reason(path, image))
            else:
                yield self._answer(str(path), image, top)

    def _answer(self, path: str, image: np.ndarray, top: int) -> Answer:
        seen = self._network(image)
        order = np.argsort(-seen.probabilities, kind="stable")[:top]
        ranked = tuple((self.classes[i], float(seen.probabilities[i])) for i in order)
        unfamiliar = None
        if self._known is not None:
            unfamiliar = bool(self._known.unfamiliar(seen.features[None])[0])
        return Answer(path, *ranked[0], ranked[1:], unfamiliar, None)


def frame(answers: Iterable[Answer]) -> pd.DataFrame:
    """One row an answer, the label in the column `class`."""
    import pandas as pd

    rows = [answer._asdict() for answer in answers]
    table = pd.DataFrame(rows, columns=list(Answer._fields), dtype=object)
    return table.astype({"probability": float}).rename(columns={"label": "class"})


def load_model(folder: Path | str) -> Model:
    """The model that `train` has written to the folder.

    Runs on onnxruntime where that is installed, else on torch, with the same answers. Raises
    ModelFolderError where the folder holds no model, or a damaged one.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    known = None
    if path := whole(folder, manifest, REFERENCE):
        try:
            known = read_reference(path)
        except (ValueError, KeyError, OSError) as error:
            raise ModelFolderError(f"{path}: cannot be read ({error})") from error
    return Model(folder, manifest, running(folder, manifest), known)


def _reason(path: Path, error: BrokenImageError) -> str:
    if path.is_dir():
        return "is a folder"
    if not path.exists():
        return "there is no such file"
    reason = str(error).removeprefix(f"{path}: ")
    return _NO_IMAGE if reason.startswith("cannot identify image file") else reason
