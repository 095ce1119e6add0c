"""What lies in a folder of images or texts: classes, files by content, and what was set aside. No
torch."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from transfer_lab.system.files import regular


@dataclass(frozen=True)
class FileKind:
    """What the files of a folder are called, and by which suffixes they are told, the usual one
    first."""

    noun: str
    suffixes: tuple[str, ...]


IMAGES = FileKind(
    "images",
    (
        *(".jpg", ".bmp", ".gif", ".jfif", ".jp2", ".jpeg", ".pbm", ".pgm", ".png", ".ppm"),
        *(".tif", ".tiff", ".webp", ".avif"),
    ),
)
TEXTS = FileKind("texts", (".txt",))


Part = Literal["train", "test"]
"""Of a folder that is divided already."""
_PART_NAMES = ("train", "training", "test", "testing", "val", "valid", "validation")


class DataUnavailable(RuntimeError):  # noqa: N818 (the name says what to do about it)
    """Data that is not where it was looked for, or cannot be used; the message names the path and
    the way out."""


@dataclass(frozen=True)
class ImageFile:
    """One file: its place below the root, its class, its content."""

    path: Path
    part: Part | None
    label: str
    sha256: str

    def read(self) -> bytes:
        """The content by which the file is known; raises DataUnavailable where it is another one by
        now, or gone."""
        try:
            with regular(self.path) as handle:
                content = handle.read()
        except OSError as error:
            reason = f"cannot be read any more ({error.strerror})"
        else:
            if hashlib.sha256(content).hexdigest() == self.sha256:
                return content
            reason = "has changed"
        raise DataUnavailable(
            f"{self.path}: {reason} since the experiment was read; leave the folder alone while a "
            "grid runs, and give the command again"
        )


@dataclass(frozen=True)
class Listing:
    """The files of a kind below a root, in an order of their content alone, and what else there
    was."""

    root: Path
    classes: tuple[str, ...]
    files: tuple[ImageFile, ...]
    set_aside: tuple[tuple[Path, str], ...]
    ignored: int
    kind: FileKind = IMAGES

    @property
    def differ_in_case(self) -> list[list[str]]:
        """Classes whose names differ in nothing but capital letters: classes of their own, which
        some file systems could not tell apart."""
        return twins(self.classes, str.casefold)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of classes, parts and contents: the same wherever the folder lies and however its
        files are called."""
        lines = [f"{file.part} {file.label!r} {file.sha256}" for file in self.files]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def known_by(self, groups: str | None) -> str:
        """The fingerprint, and which files belong together where a pattern says so."""
        if groups is None:
            return self.fingerprint
        named = self.groups(groups)
        lines = [self.fingerprint, *(named[file.path] for file in self.files)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def groups(self, pattern: str) -> dict[Path, str]:
        """By file, the group that the pattern finds in its path below the class folder: its first
        parenthesis, or else all that it matches. Raises DataUnavailable where it is no regular
        expression, or finds nothing in a file's path."""
        try:
            searched = re.compile(pattern)
        except re.error as error:
            raise DataUnavailable(
                f"groups: {pattern!r} is no regular expression ({error})"
            ) from None
        found, without = {}, []
        for file in self.files:
            place = file.path.relative_to(self.root / (file.part or "") / file.label).as_posix()
            match = searched.search(place)
            if match is None:
                without.append(place)
            else:
                found[file.path] = match[1] if searched.groups else match[0]
        if without:
            raise DataUnavailable(
                f"{self.root}: groups: {pattern!r} finds no group in {len(without)} of "
                f"{len(self.files)} {self.kind.noun}, as {min(without)}; let it match every path"
            )
        return found

    def only(self, wanted: Iterable[bool]) -> Listing:
        """The listing with the wanted files alone; raises DataUnavailable where too few of a class
        are left."""
        files = tuple(file for file, keep in zip(self.files, wanted, strict=True) if keep)
        split = any(file.part for file in self.files)
        try:
            _check(self.root, self.classes, files, split, self.kind)
        except DataUnavailable as error:
            count = len(self.files) - len(files)
            raise DataUnavailable(
                f"{error}; {count} files that cannot be read are left out"
            ) from None
        return replace(self, files=files)

    def divided(self, test_fraction: float) -> dict[Part, tuple[ImageFile, ...]]:
        """Training pool and test set: the folder's own, or a stratified split by content.

        Each class is put in the order of its hashes and its beginning is the test set, so the
        split changes neither with names nor with the order of the listing; copies of a file
        fall on the same side.
        """
        test = _first_contents(self.files, test_fraction)
        parts: dict[Part, list[ImageFile]] = {"train": [], "test": []}
        for file in self.files:
            own: Part = "test" if (file.label, file.sha256) in test else "train"
            parts[file.part or own].append(file)
        return {part: tuple(files) for part, files in parts.items()}


def list_files(root: Path | str, kind: FileKind = IMAGES) -> Listing:
    """List `<root>/{train,test}/<class>/*` or `<root>/<class>/*`.

    Hidden files and files of another kind by their suffix are counted and passed over. Links that
    lead out of the root are set aside and never followed, and so is what is no regular file or
    cannot be read. Raises DataUnavailable for a missing or unreadable folder, for fewer than two
    classes, for two that are one class by their names, and for a class that the split cannot serve.
    """
    try:
        return _listed(Path(root), kind)
    except OSError as error:
        raise _unreadable(Path(root), kind, error) from error


def _listed(root: Path, kind: FileKind) -> Listing:
    top = _folders(root, kind)
    names = {folder.name for folder in top}
    split = {"train", "test"} <= names
    parts: list[tuple[Part | None, list[Path]]]
    scan = _Scan(root.resolve(), kind)
    if split:
        parts = [(part, _folders(root / part, kind)) for part in ("train", "test")]
        others = [folder for folder in top if folder.name not in ("train", "test")]
        scan.set_aside += [(folder, "neither train nor test") for folder in others]
    elif halves := sorted(name for name in names if name.lower() in _PART_NAMES):
        raise DataUnavailable(
            f"{root}: {', '.join(halves)} would be taken for classes; name the parts train and "
            "test, or put the class folders directly into it"
        )
    else:
        parts = [(None, top)]
    for folder in (root, *(root / part for part, _ in parts if part)):
        scan.note_links(folder)
    files = [
        file for part, folders in parts for folder in folders for file in scan.files(folder, part)
    ]
    files.sort(key=lambda file: (file.part or "", file.label, file.sha256, str(file.path)))
    classes = tuple(sorted({folder.name for _, folders in parts for folder in folders}))
    _check(root, classes, files, split, kind)
    return Listing(root, classes, tuple(files), tuple(scan.set_aside), scan.ignored, kind)


def _first_contents(files: Iterable[ImageFile], fraction: float) -> set[tuple[str, str]]:
    contents: dict[str, set[str]] = {}
    for file in files:
        contents.setdefault(file.label, set()).add(file.sha256)
    return {
        (label, sha256)
        for label, hashes in contents.items()
        for sha256 in sorted(hashes)[: min(len(hashes) - 1, max(1, round(fraction * len(hashes))))]
    }


def _folders(root: Path, kind: FileKind) -> list[Path]:
    try:
        with os.scandir(root) as entries:
            found = [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError as error:
        raise _unreadable(root, kind, error) from error
    return sorted(folder for folder in found if not folder.name.startswith("."))


def _unreadable(root: Path, kind: FileKind, error: OSError) -> DataUnavailable:
    return DataUnavailable(
        f"{error.filename or root}: cannot read the folder ({error.strerror}); it should hold one "
        f"folder of {kind.noun} per class, or train/ and test/ with these"
    )


class _Scan:
    """Reads class folders; remembers what it passed over."""

    def __init__(self, root: Path, kind: FileKind):
        self.root, self.kind = root, kind
        self.set_aside: list[tuple[Path, str]] = []
        self.ignored = 0

    def note_links(self, folder: Path) -> None:
        """Set aside the links to folders in it; they are not followed."""
        links = (p for p in sorted(folder.iterdir()) if p.is_symlink() and p.is_dir())
        self.set_aside += [(path, "a link to a folder") for path in links]

    def note_unreadable(self, error: OSError) -> None:
        """Set aside a folder within a class that cannot be read."""
        self.set_aside.append((Path(error.filename), f"cannot be read ({error.strerror})"))

    def files(self, folder: Path, part: Part | None) -> Iterator[ImageFile]:
        for path in _walk(folder, self.note_unreadable):
            if path.name.startswith(".") or path.suffix.lower() not in self.kind.suffixes:
                self.ignored += 1
                continue
            try:
                if path.is_symlink() and not path.resolve().is_relative_to(self.root):
                    self.set_aside.append((path, "a link that leads out of the folder"))
                    continue
                with regular(path) as handle:
                    digest = hashlib.file_digest(handle, "sha256").hexdigest()
            except (OSError, RuntimeError) as error:  # before Python 3.13 a loop of links is none
                reason = getattr(error, "strerror", None) or "a link that leads back to itself"
                self.set_aside.append((path, f"cannot be read ({reason})"))
                continue
            yield ImageFile(path, part, folder.name, digest)


def _walk(folder: Path, unreadable: Callable[[OSError], None]) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names))


def twins(classes: Iterable[str], alike: Callable[[str], str]) -> list[list[str]]:
    """Classes whose names are the same once `alike` has made them so."""
    known: dict[str, list[str]] = {}
    for name in classes:
        known.setdefault(alike(name), []).append(name)
    return [names for names in known.values() if len(names) > 1]


def _check(
    root: Path, classes: tuple[str, ...], files: Iterable[ImageFile], split: bool, kind: FileKind
) -> None:
    if len(classes) < 2:
        raise DataUnavailable(
            f"{root}: {len(classes)} class folders; a classification needs two or more, as in "
            f"{root}/<class>/*{kind.suffixes[0]} or {root}/train/<class>/*{kind.suffixes[0]}"
        )
    for name, *others in twins(classes, lambda name: unicodedata.normalize("NFC", name)):
        raise DataUnavailable(
            f"{root}: {len(others) + 1} class folders are called {name!r}, with letters that are "
            "put together in different ways (NFC and NFD): put their files into one folder"
        )
    counts = Counter(
        (part, label) for part, label, _ in {(f.part, f.label, f.sha256) for f in files}
    )
    divided: list[tuple[Part | None, int]] = [("train", 1), ("test", 1)]
    needed = divided if split else [(None, 2)]
    short = [
        f"{root / (part or '') / label} ({counts[part, label]} different {kind.noun}, "
        f"{least} needed)"
        for part, least in needed
        for label in classes
        if counts[part, label] < least
    ]
    if short:
        raise DataUnavailable(
            f"too few {kind.noun} to train and test on: "
            + ", ".join(short)
            + "; add some, or remove "
            "the class from the folder"
        )
