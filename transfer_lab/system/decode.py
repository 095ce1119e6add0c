"""Images of every kind to RGB bytes of one size. No torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from transfer_lab.system import host

MAX_PIXELS = 80_000_000
_AHEAD = 8
"""Images decoded or in work at a time, for each core."""

Given = TypeVar("Given")
Made = TypeVar("Made")


class BrokenImageError(ValueError):
    """A file that cannot be read as an image; the message names it and says why."""


def decode(path: Path, size: int) -> np.ndarray:
    """The file's `middle_square`.

    Raises BrokenImageError for a file that is empty, truncated, no image, or larger than
    MAX_PIXELS.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, a decompression bomb?")
            image.draft(None, (2 * size, 2 * size))  # lets JPEG skip detail that is averaged away
            return middle_square(image, size)
    except Exception as error:  # a foreign parser on a foreign file may raise anything
        reason = "the file is empty" if _is_empty(path) else str(error) or type(error).__name__
        raise BrokenImageError(f"{path}: {reason}") from error


def middle_square(image: Image.Image, size: int) -> np.ndarray:
    """(3, size, size) uint8 of an open image: how every domain of foreign images resizes.

    The first frame, upright, on white where transparent; its middle square, resized with
    antialiasing.
    """
    upright = ImageOps.exif_transpose(_first_frame(image))
    square = ImageOps.fit(_rgb(upright), (size, size), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def decode_all(paths: Iterable[Path], size: int) -> Iterator[np.ndarray | BrokenImageError]:
    """Each file's image or what is wrong with it, in order, decoded on all cores, no more ahead
    than keeps them busy."""

    def one(path: Path) -> np.ndarray | BrokenImageError:
        try:
            return decode(path, size)
        except BrokenImageError as error:
            return error

    yield from on_all_cores(one, paths)


def on_all_cores(call: Callable[[Given], Made], items: Iterable[Given]) -> Iterator[Made]:
    """What `call` makes of each item, in order, a few ahead: however many there are, and however
    slowly they are taken, few are held."""
    cores = host.cores()
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(cores) as threads:
        for item in items:
            waiting.append(threads.submit(call, item))
            if len(waiting) >= _AHEAD * cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _first_frame(image: Image.Image) -> Image.Image:
    image.seek(0)
    image.load()
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep_grey(np.asarray(image, np.float64), image.mode).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _from_deep_grey(values: np.ndarray, mode: str) -> Image.Image:
    """Grey of more than 8 bits to 8 bits, by the range of its kind and not of the single image."""
    full = 65535.0
    if mode == "F" and values.max(initial=0) <= 1:
        full = 1.0
    elif mode in ("I", "F"):  # 32 bits: its range is not known, only what it surely exceeds
        top = values.max(initial=0)
        full = 255.0 if top <= 255 else max(full, top)
    return Image.fromarray(np.clip(values * (255 / full), 0, 255).round().astype(np.uint8))


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:
        return False
