"""Photographs in folders named after their classes. No torch."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from transfer_lab.advice.album.handed_over import (
    FOREIGN,
    HandedOver,
    Labelled,
    RefusedError,
    is_photograph,
    listed,
)

_LEARN = ("train", "training")
_TEST = ("test", "testing", "val", "valid", "validation")
_LAYOUT = "one folder for each class, as photos/cat and photos/dog"
TABLE = "labels.csv"
"""A table of this name in a folder without class folders is read in their place."""
TABLE_HINT = f"a {TABLE} beside the photographs with the columns file,label"


class _Found(NamedTuple):
    """What a folder holds itself."""

    folders: list[Path]
    photographs: list[Path]
    set_aside: list[tuple[Path, str]]


def read_class_folders(root: Path, *, nested: bool) -> HandedOver:
    """`<root>/<class>/**`, or the train part of `<root>/{train,test}/<class>/**`.

    A single folder around the class folders is entered. `nested`: whether folders below a class
    folder are known to be groups of its photographs. Raises RefusedError.
    """
    top = _entered(root)
    names = {folder.name.lower(): folder for folder in top.folders}
    learn = [names[name] for name in _LEARN if name in names]
    held = [names[name] for name in _TEST if name in names]
    if held and not learn:
        raise RefusedError(
            f"{root}: {listed([p.name for p in held])} is the name of a part, and there is no "
            f"train beside it; name it train, or put the class folders into {root} itself"
        )
    if not (learn and held):
        return HandedOver(root, *_labelled(root, top, nested))
    used = {*learn, *held}
    aside = [*top.set_aside, *((photo, "in no class folder") for photo in top.photographs)]
    aside += [(f, "beside train and test") for f in top.folders if f not in used]
    files: list[Labelled] = []
    test: list[Labelled] = []
    for part, into in ((learn, files), (held, test)):
        for folder in part:
            found, more = _labelled(folder, _look(folder), nested)
            into += found
            aside += more
    known = {file.label for file in files}
    aside += [(f.path, f"class {f.label} is not in train") for f in test if f.label not in known]
    return HandedOver(root, files, aside, [file for file in test if file.label in known])


def _entered(root: Path) -> _Found:
    """What the folder holds, or a single folder in it that holds more than one class."""
    found = _look(root)
    while len(found.folders) == 1 and not found.photographs:
        inner = _look(found.folders[0])
        if not inner.folders or inner.photographs:
            break
        found = inner
    return found


def _look(folder: Path) -> _Found:
    """Hidden files and folders, and files of other kinds, are passed over."""
    found = _Found([], [], [])
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise RefusedError(
            f"{folder}: the folder cannot be read ({error.strerror}); it should hold {_LAYOUT}"
        ) from error
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_dir():
            if entry.is_symlink():
                found.set_aside.append((path, "a link to a folder, which is not followed"))
            else:
                found.folders.append(path)
        elif is_photograph(path):
            found.photographs.append(path)
        elif reason := FOREIGN.get(path.suffix.lower()):
            found.set_aside.append((path, reason))
    return found


def _labelled(
    root: Path, top: _Found, nested: bool
) -> tuple[list[Labelled], list[tuple[Path, str]]]:
    """Each photograph of the class folders, and what was set aside."""
    aside = [*top.set_aside, *((photo, "in no class folder") for photo in top.photographs)]
    if not top.folders:
        raise RefusedError(_told_without_folders(root, top))
    files, only_nested = [], True
    inner: Counter[str] = Counter()
    for folder in top.folders:
        direct = _look(folder)
        only_nested &= not direct.photographs
        inner.update(below.name for below in direct.folders)
        photographs, more = _all_below(direct)
        aside += more
        files += [Labelled(path, folder.name) for path in photographs]
        if not photographs:
            aside.append((folder, "an empty class folder"))
    repeated = [name for name, count in inner.items() if count > 1]
    if only_nested and repeated and not nested and files:
        outer = [folder.name for folder in top.folders]
        raise RefusedError(
            f"{root}: folders in folders: is the class the outer one ({listed(outer)}) or the "
            f"inner one ({listed(repeated)})? If the outer: add --group-by folder. If the inner: "
            f"make {_LAYOUT}, or write {TABLE_HINT}"
        )
    return files, aside


def _all_below(found: _Found) -> tuple[list[Path], list[tuple[Path, str]]]:
    photographs, aside = list(found.photographs), list(found.set_aside)
    for folder in found.folders:
        try:
            inner = _look(folder)
        except RefusedError as error:
            aside.append((folder, f"cannot be read ({error.__cause__})"))
            continue
        more, set_aside = _all_below(inner)
        photographs += more
        aside += set_aside
    return photographs, aside


def _told_without_folders(root: Path, top: _Found) -> str:
    if top.photographs:
        return (
            f"{root}: {len(top.photographs)} photographs lie directly in it, and nothing says what "
            f"they show; make {_LAYOUT}, or write {TABLE_HINT}"
        )
    if top.set_aside:
        path, reason = top.set_aside[0]
        return f"{root}: no photograph that can be read; {path.name}: {reason}"
    return f"{root}: the folder is empty; it should hold {_LAYOUT}"
