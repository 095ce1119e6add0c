"""What was handed over, before any file is read: which file has which class. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from transfer_lab.system.image_folder import IMAGES

FOREIGN = {
    **dict.fromkeys((".heic", ".heif"), "HEIC photographs are not read; export them as JPEG"),
    **dict.fromkeys(
        (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"),
        "raw photographs are not read; export them as JPEG",
    ),
    **dict.fromkeys((".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"), "a film, and no photograph"),
    **dict.fromkeys((".pdf", ".psd", ".svg"), "no photograph; export it as PNG"),
}
"""By suffix, what people take for a photograph and the lab cannot read, and what to do."""


class RefusedError(ValueError):
    """What was handed over cannot be advised on; the message says in plain words what to do."""


class Labelled(NamedTuple):
    """A file and the class that its owner gave it."""

    path: Path
    label: str


class HandedOver(NamedTuple):
    """Files to learn from; what has no class or is no photograph, with the reason; and files of a
    test part beside them."""

    root: Path
    files: list[Labelled]
    set_aside: list[tuple[Path, str]]
    test: Sequence[Labelled] = ()


def is_photograph(path: Path) -> bool:
    """By its suffix."""
    return path.suffix.lower() in IMAGES.suffixes


def listed(items: list[str], most: int = 3) -> str:
    """The first few in plain words."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
