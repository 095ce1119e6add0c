"""Labelled photographs as a person hands them over: a folder of class folders, or a table. No
torch."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from transfer_lab.advice.album.class_folders import TABLE, TABLE_HINT, read_class_folders
from transfer_lab.advice.album.handed_over import HandedOver, Labelled, RefusedError, listed
from transfer_lab.advice.album.label_table import read_label_table
from transfer_lab.system.decode import on_all_cores

__all__ = ["UNREADABLE", "Album", "Photo", "RefusedError", "read_album"]

UNREADABLE = "cannot be read"
"""What the reason begins with, where a file could not be opened or is no image."""


@dataclass(frozen=True)
class Photo:
    """One file, the class that its owner gave it, and its content."""

    path: Path
    label: str
    sha256: str


@dataclass(frozen=True)
class Album:
    """Photographs in an order of their content alone, and what else was found beside them.

    `test`: those of a test part, which nothing is learnt from. `contradictory`: identical files of
    more than one class, which are not among the photographs.
    """

    root: Path
    classes: tuple[str, ...]
    photos: tuple[Photo, ...]
    set_aside: tuple[tuple[Path, str], ...] = ()
    test: tuple[Photo, ...] = ()
    contradictory: tuple[tuple[Path, ...], ...] = ()

    @cached_property
    def labels(self) -> np.ndarray:
        """The number of each photograph's class, int64."""
        number = {name: place for place, name in enumerate(self.classes)}
        return np.array([number[photo.label] for photo in self.photos], dtype=np.int64)

    @cached_property
    def per_class(self) -> tuple[int, ...]:
        """Photographs of each class."""
        return tuple(np.bincount(self.labels, minlength=len(self.classes)).tolist())

    @cached_property
    def content_hash(self) -> str:
        """The same wherever the photographs lie and however their files are called."""
        lines = [f"{photo.label!r} {photo.sha256}" for photo in self.photos]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def place(self, path: Path) -> str:
        """A file's path below the root, or the whole path where it lies elsewhere."""
        below = path.is_relative_to(self.root)
        return (path.relative_to(self.root) if below else path).as_posix()

    def without(self, broken: Iterable[tuple[Path, str]]) -> Album:
        """The album without files that turned out to be no images, with why; they are set aside.
        Raises RefusedError where too few photographs are left."""
        broken = tuple((path, f"{UNREADABLE} ({reason})") for path, reason in broken)
        if not broken:
            return self
        gone = {path for path, _ in broken}
        photos = tuple(photo for photo in self.photos if photo.path not in gone)
        test = tuple(photo for photo in self.test if photo.path not in gone)
        left = {photo.label for photo in photos}
        classes = tuple(name for name in self.classes if name in left)
        count = f"{len(broken)} files" if len(broken) > 1 else "1 file"
        _check(self.root, photos, f"; {count} {UNREADABLE}, as {broken[0][0].name}")
        return replace(
            self,
            classes=classes,
            photos=photos,
            test=tuple(photo for photo in test if photo.label in left),
            set_aside=tuple(sorted((*self.set_aside, *broken))),
        )

    def only(self, chosen: np.ndarray) -> Album:
        """The album with the chosen photographs alone, given in ascending order; raises
        RefusedError where they are too few of a class."""
        if len(chosen) == len(self.photos):
            return self
        photos = tuple(self.photos[place] for place in chosen)
        _check(self.root, photos)
        left = {photo.label for photo in photos}
        if len(left) < len(self.classes):
            raise RefusedError(f"{self.root}: none of {listed(sorted({*self.classes} - left))}")
        return replace(self, photos=photos)


def read_album(source: Path | str, *, nested: bool = False) -> Album:
    """The photographs of a folder of class folders, or of a table with the columns file and label.

    Where there are a train and a test part, those of train. `nested`: whether folders below a class
    folder are known to be groups of its photographs. Every file is read once, for its hash; nothing
    is decoded. Raises RefusedError.
    """
    handed = _handed_over(Path(source), nested)
    aside = list(handed.set_aside)
    photos, test = _hashed(handed.files, aside), _hashed(handed.test, aside)
    photos, contradictory = _of_one_class(photos)
    _check_any(handed.root, photos, aside, contradictory)
    _check(handed.root, photos)
    return Album(
        root=handed.root,
        classes=tuple(sorted({photo.label for photo in photos})),
        photos=tuple(photos),
        set_aside=tuple(sorted(aside)),
        test=tuple(test),
        contradictory=tuple(tuple(p.path for p in same) for same in contradictory),
    )


def _handed_over(source: Path, nested: bool) -> HandedOver:
    if source.is_dir():
        table = source / TABLE
        has_folders = any(p.is_dir() and not p.name.startswith(".") for p in source.iterdir())
        if table.is_file() and not has_folders:
            return read_label_table(table)
        return read_class_folders(source, nested=nested)
    if not source.exists():
        raise RefusedError(f"{source}: is not there; name a folder of photographs")
    if source.suffix.lower() in (".csv", ".tsv", ".txt"):
        return read_label_table(source)
    if source.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"):
        raise RefusedError(f"{source}: is an archive; unpack it, and name the folder")
    raise RefusedError(f"{source}: is neither a folder of photographs nor a table of labels (.csv)")


def _hashed(files: Sequence[Labelled], aside: list[tuple[Path, str]]) -> list[Photo]:
    """In an order of content; files that cannot be opened are set aside."""

    def read(file: Labelled) -> Photo | tuple[Path, str]:
        try:
            with file.path.open("rb") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
        except OSError as error:
            return file.path, f"{UNREADABLE} ({error.strerror})"
        return Photo(file.path, file.label, digest)

    photos = []
    for found in on_all_cores(read, files):
        if isinstance(found, Photo):
            photos.append(found)
        else:
            aside.append(found)
    return sorted(photos, key=lambda photo: (photo.label, photo.sha256, str(photo.path)))


def _of_one_class(photos: list[Photo]) -> tuple[list[Photo], list[list[Photo]]]:
    """Those whose content lies in one class alone, and of each other content all that hold it."""
    labels = defaultdict(set)
    for photo in photos:
        labels[photo.sha256].add(photo.label)
    both: dict[str, list[Photo]] = defaultdict(list)
    for photo in photos:
        if len(labels[photo.sha256]) > 1:
            both[photo.sha256].append(photo)
    kept = [photo for photo in photos if photo.sha256 not in both]
    return kept, [both[content] for content in sorted(both)]


def _check_any(
    root: Path,
    photos: list[Photo],
    aside: list[tuple[Path, str]],
    contradictory: list[list[Photo]],
) -> None:
    if photos:
        return
    if contradictory:
        first, *_ = same = contradictory[0]
        raise RefusedError(
            f"{root}: every photograph lies in more than one class, as {first.path.name} in "
            f"{listed([photo.label for photo in same])}; a photograph can have one class, so leave "
            "each in one folder"
        )
    told = f"; {aside[0][0]}: {aside[0][1]}" if aside else ""
    raise RefusedError(
        f"{root}: no photograph found that can be read{told}. It should hold one folder for each "
        f"class, or {TABLE_HINT}"
    )


def _check(root: Path, photos: Iterable[Photo], told: str = "") -> None:
    """Raises RefusedError for fewer than two classes, or a class of a single content."""
    contents: dict[str, set[str]] = defaultdict(set)
    files: dict[str, int] = defaultdict(int)
    for photo in photos:
        contents[photo.label].add(photo.sha256)
        files[photo.label] += 1
    if len(contents) < 2:
        only = f"one class, {next(iter(contents))}" if contents else "no class"
        raise RefusedError(
            f"{root}: there is {only}{told}; telling photographs apart takes two classes or more, "
            "each with a folder of its own (what is none of them can be a class, too: other)"
        )
    if max(map(len, contents.values())) == 1:
        raise RefusedError(
            f"{root}: {len(contents)} classes with one photograph each{told}; a class takes at "
            "least five, and better twenty"
        )
    short = sorted(name for name, found in contents.items() if len(found) == 1)
    if short:
        copies = [f"{name} ({files[name]} copies of one)" for name in short if files[name] > 1]
        single = [f"{name} (one photograph)" for name in short if files[name] == 1]
        raise RefusedError(
            f"{root}: too few different photographs in {listed(single + copies)}{told}; a class "
            "takes at least five: add some, or take the class out"
        )
