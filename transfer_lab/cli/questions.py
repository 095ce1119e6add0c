"""What is asked before an advice, in a terminal alone, and only where the answer matters."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from PIL import Image
from rich.console import Console

_LOOKED_AT = 40
"""Photographs whose date is read."""
_DATED = 0.8
_EXIF, _TAKEN = 0x8769, 0x9003
_PHOTOS = (".jpg", ".jpeg", ".heic", ".tif", ".tiff", ".png", ".webp")


def is_terminal() -> bool:
    """Whether somebody is there to answer."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def group_by(source: Path, out: Console, *, ask: bool) -> str | None:
    """What photographs are tested together by: asked for, or, with `ask` False, as usual."""
    if not source.is_dir():
        return None
    if _has_subfolders(source):
        text = (
            "There are folders inside your class folders. Does each hold photos of one place, "
            "person, camera or series? They are then tested together."
        )
        return "folder" if not ask or _yes(out, text, default=True) else None
    days = _days(source)
    if ask and len(days) > 1:
        text = (
            f"Your photos are of {len(days)} days or more. Will new ones be of other days, in "
            "other light or weather? Whole days are then tested together, which is stricter."
        )
        return "exif-day" if _yes(out, text, default=False) else None
    return None


def _yes(out: Console, text: str, *, default: bool) -> bool:
    out.print(f"{text} {'[Y/n]' if default else '[y/N]'} ", end="", soft_wrap=True)
    answer = sys.stdin.readline().strip().lower()
    return default if not answer else answer.startswith("y")


def _has_subfolders(source: Path) -> bool:
    """Whether folders lie in most class folders, where there is no division into parts."""
    classes = _folders(source)
    if {path.name.lower() for path in classes} & {"train", "test", "val", "valid", "validation"}:
        return False
    nested = [path for path in classes if _folders(path)]
    return bool(nested) and 2 * len(nested) > len(classes)


def _folders(place: Path) -> list[Path]:
    try:
        return [p for p in place.iterdir() if p.is_dir() and not p.name.startswith(".")]
    except OSError:
        return []


def _days(source: Path) -> set[str]:
    """Days on which some of the photographs were taken; none where most have no date."""
    paths = [path for folder in _folders(source) for path in islice(_photos(folder), 8)]
    looked = paths[:: max(1, len(paths) // _LOOKED_AT)][:_LOOKED_AT]
    days = [day for path in looked if (day := _day(path))]
    return set(days) if looked and len(days) >= _DATED * len(looked) else set()


def _photos(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.suffix.lower() in _PHOTOS)


def _day(path: Path) -> str:
    try:
        with Image.open(path) as image:
            taken = image.getexif().get_ifd(_EXIF).get(_TAKEN)
    except Exception:  # a foreign parser on a foreign file may raise anything
        return ""
    return str(taken)[:10] if taken else ""
