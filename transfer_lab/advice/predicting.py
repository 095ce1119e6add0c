"""What a model answers to files and folders: as a table, as CSV or JSON, or as copies sorted into
folders. No torch where onnxruntime answers."""

from __future__ import annotations

import csv
import filecmp
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from transfer_lab.advice.album.album import RefusedError
from transfer_lab.advice.model.loading import TOP, Answer, Model, frame
from transfer_lab.system.image_folder import IMAGES

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("path", "class", "probability", "alternatives", "unfamiliar", "error")
UNFAMILIAR = "_unfamiliar"
"""The folder of copies that are unlike all training photographs."""
_STANDARD_INPUT = "-"


def find_photos(
    inputs: Sequence[Path | str], standard_input: IO[str] | None = None
) -> tuple[Path, ...]:
    """Every file that is named, and the images below every folder that is, in the order of their
    names, hidden ones left out; `-` stands for the lines of the standard input.

    Raises RefusedError where a folder is not there or holds no images, or nothing is named.
    """
    found: list[Path] = []
    for name in inputs:
        if str(name) == _STANDARD_INPUT and standard_input is not None:
            lines = (line.rstrip("\r\n") for line in standard_input)
            found += [Path(line) for line in lines if line]
        else:
            found += _photos_of(Path(name))
    if not found:
        raise RefusedError("no photographs to answer for: name files or a folder")
    return tuple(dict.fromkeys(found))


def predict_table(model: Model, paths: Iterable[Path | str], *, top: int = TOP) -> pd.DataFrame:
    """One row a file, as `Model.predict`."""
    return frame(model.answers(paths, top=top))


def write_csv(answers: Iterable[Answer], into: IO[str]) -> int:
    """One row a file, each as soon as it is known; alternatives as `beech 0.120; oak 0.031`.
    Returns how many."""
    writer = csv.writer(into, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for answer in answers:
        others = "; ".join(f"{name} {share:.3f}" for name, share in answer.alternatives)
        share = "" if answer.error else f"{answer.probability:.4f}"
        unfamiliar = "" if answer.unfamiliar is None else str(answer.unfamiliar).lower()
        row = (answer.path, answer.label or "", share, others, unfamiliar, answer.error or "")
        writer.writerow(map(_printable, row))
        count += 1
    return count


def write_json(answers: Iterable[Answer], into: IO[str]) -> int:
    """A list of one object a file, a line each. Returns how many."""
    count = 0
    for answer in answers:
        into.write("[\n" if not count else ",\n")
        into.write(json.dumps(_as_object(answer), ensure_ascii=False))
        count += 1
    into.write("\n]\n" if count else "[]\n")
    return count


def sort_into(answers: Iterable[Answer], folder: Path | str) -> Iterator[Answer]:
    """Copy each file into `<folder>/<class>/`, those that are unfamiliar into
    `<folder>/_unfamiliar/<class>/`, and pass the answers on, one by one.

    Files are never moved and nothing is overwritten: another file of the same name gets a number,
    and the same file is not copied twice. An answer whose file cannot be copied says so. Raises
    RefusedError where the folder cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        told = f"{folder}: cannot be made ({error.strerror}); name another folder to sort into"
        raise RefusedError(told) from error
    return (_sorted(answer, folder) for answer in answers)


def _sorted(answer: Answer, folder: Path) -> Answer:
    if answer.error or answer.label is None:
        return answer
    parent = folder / UNFAMILIAR if answer.unfamiliar else folder
    try:
        _copy(Path(answer.path), parent / _folder_name(answer.label))
    except OSError as error:
        return answer._replace(error=f"not copied ({error.strerror or error})")
    return answer


def _copy(source: Path, folder: Path) -> None:
    """The file into the folder, under a name that is free, whole or not at all."""
    places = _places(folder, source)
    place = next(p for p in places if not p.exists() or filecmp.cmp(source, p, shallow=False))
    if place.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    partly = folder / f".{os.getpid()}.partly"
    try:
        shutil.copy2(source, partly)
        while not _named(partly, place):
            place = next(p for p in places if not p.exists())
    finally:
        partly.unlink(missing_ok=True)


def _named(partly: Path, place: Path) -> bool:
    """Give the copy its name; False where that has been taken meanwhile."""
    try:
        os.link(partly, place)  # a rename would overwrite
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        partly.rename(place)
    return True


def _places(folder: Path, source: Path) -> Iterator[Path]:
    yield folder / source.name
    number = 2
    while True:
        yield folder / f"{source.stem}-{number}{source.suffix}"
        number += 1


def _folder_name(label: str) -> str:
    """A class as the name of one folder: a table of labels may hold any text."""
    name = label.replace("/", "_").replace("\\", "_").replace("\0", "_").strip()
    return f"_{name}" if name in ("", ".", "..", UNFAMILIAR) else name


def _photos_of(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    found = []
    for folder, below, names in os.walk(place):
        below[:] = sorted(name for name in below if not name.startswith("."))
        found += [
            Path(folder, name)
            for name in sorted(names)
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGES.suffixes
        ]
    if not found:
        kinds = ", ".join(IMAGES.suffixes[:3])
        raise RefusedError(f"{place}: no photographs in this folder ({kinds}, ...)")
    return found


def _as_object(answer: Answer) -> dict[str, object]:
    return {
        "path": _printable(answer.path),
        "class": answer.label,
        "probability": None if answer.error else answer.probability,
        "alternatives": [
            {"class": name, "probability": share} for name, share in answer.alternatives
        ],
        "unfamiliar": answer.unfamiliar,
        "error": None if answer.error is None else _printable(answer.error),
    }


def _printable(text: str) -> str:
    """A file name that is no text has bytes that cannot be written as UTF-8."""
    return text.encode(errors="backslashreplace").decode()
