"""What can be told of a photograph without a network: its size, when it was taken, its frame, and a
thumbnail of it. No torch."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

_EXIF_DETAILS, _TAKEN, _CHANGED = 0x8769, 0x9003, 0x0132
_FRAME = 1 / 40
"""Of the side: how wide a strip along each side is looked at."""
_EVEN = 4.0
"""Standard deviation, of 255, up to which a strip is of one colour: JPEG leaves a little."""
_STEP = 32
THUMBNAIL = 48
"""Pixels along each side of a thumbnail."""


class Look(NamedTuple):
    """Width and height in pixels; the moment that the camera noted, if it did; and for each side
    (top, bottom, left, right) of the middle square the colour of an even strip along it, coarsely,
    or -1."""

    width: int
    height: int
    taken: str | None
    frame: tuple[int, int, int, int]

    @property
    def day(self) -> str | None:
        """The day it was taken on."""
        return self.taken[:10] if self.taken else None


def look(path: Path, pixels: np.ndarray) -> Look:
    """Of a file that can be decoded, and its middle square (3, size, size)."""
    with Image.open(path) as image:
        return Look(*image.size, _taken(image), frame_of(pixels))


def thumbnail_of(pixels: np.ndarray) -> np.ndarray:
    """(THUMBNAIL, THUMBNAIL) uint8: a middle square (3, size, size) small and grey."""
    grey = Image.fromarray(pixels.transpose(1, 2, 0)).convert("L")
    return np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))


def frame_of(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """The colour of each side's strip, one number of 8 x 8 x 8, or -1 where it is not even."""
    wide = max(2, round(pixels.shape[1] * _FRAME))
    top, bottom = pixels[:, :wide], pixels[:, -wide:]
    left, right = pixels[:, :, :wide], pixels[:, :, -wide:]
    return _colour(top), _colour(bottom), _colour(left), _colour(right)


def _colour(strip: np.ndarray) -> int:
    flat = strip.reshape(3, -1)
    if flat.std(axis=1).max() > _EVEN:
        return -1
    red, green, blue = (int(value) // _STEP for value in flat.mean(axis=1))
    return 64 * red + 8 * green + blue


def _taken(image: Image.Image) -> str | None:
    with contextlib.suppress(Exception):  # a foreign parser on foreign bytes may raise anything
        exif = image.getexif()
        found = exif.get_ifd(_EXIF_DETAILS).get(_TAKEN) or exif.get(_CHANGED)
        if isinstance(found, str) and found[:4].isdigit() and found[:4] != "0000":
            return found.strip()[:19]
    return None
