"""Which photographs belong together by what their owner says: a folder, a day, a pattern. No
torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from transfer_lab.advice.album.album import Album, RefusedError
from transfer_lab.advice.features.looks import Look

FOLDER, DAY = "folder", "exif-day"
WAYS = f"{FOLDER}, {DAY}, or a regular expression that is searched for in each file's path"


def own_groups(album: Album, looks: Sequence[Look], by: str) -> np.ndarray:
    """(n) a number for each photograph's group: `folder`, the folder below its class's; `exif-day`,
    the day it was taken on; or what a pattern finds in its path below the class folder: its first
    parenthesis, or else all that it matches.

    A photograph without folder or day is a group of its own. Raises RefusedError where none has
    one, where the pattern finds nothing in a path, and where all are one group.
    """
    places = [_below_class(album, photo.path, photo.label) for photo in album.photos]
    if by == FOLDER:
        names = [place.parent.as_posix() if len(place.parts) > 1 else None for place in places]
        missing = "no photograph lies in a folder below its class folder"
    elif by == DAY:
        names = [look.day for look in looks]
        missing = "no photograph says when it was taken"
    else:
        names = _matched(album, places, by)
        missing = ""
    if not any(names):
        raise RefusedError(f"{album.root}: --group-by {by}: {missing}; choose {WAYS}")
    if len(set(names)) == 1:
        raise RefusedError(
            f"{album.root}: --group-by {by}: all photographs are of one group, {names[0]}, and "
            f"nothing is left to test on; choose {WAYS}"
        )
    own = [name if name else f"\0{place}" for place, name in enumerate(names)]
    return np.unique(own, return_inverse=True)[1].ravel().astype(np.int64)


def _below_class(album: Album, path, label: str) -> PurePosixPath:
    parts = PurePosixPath(album.place(path)).parts
    start = parts.index(label) + 1 if label in parts[:-1] else 0
    return PurePosixPath(*parts[start:])


def _matched(album: Album, places: Sequence[PurePosixPath], pattern: str) -> list[str | None]:
    try:
        searched = re.compile(pattern)
    except re.error as error:
        raise RefusedError(f"--group-by {pattern!r} is none of {WAYS} ({error})") from None
    found = [searched.search(place.as_posix()) for place in places]
    without = [place for place, match in zip(places, found, strict=True) if match is None]
    if without:
        raise RefusedError(
            f"{album.root}: --group-by {pattern!r} finds nothing in {len(without)} of "
            f"{len(places)} paths, as {min(without)}; let it match every path, or choose {WAYS}"
        )
    return [match[1] if searched.groups else match[0] for match in found if match]
