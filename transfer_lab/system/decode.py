"""Images of every kind to RGB bytes of one size. No torch."""

from __future__ import annotations

import contextlib
import io
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from transfer_lab.system import host
from transfer_lab.system.image_folder import ImageFile

MAX_PIXELS = 80_000_000
"""Of a file, and of all files together that are being decoded: a pixel takes up to 24 bytes, and
there may be many threads."""
_AHEAD = 8
"""Images decoded or in work at a time, for each core."""

Given = TypeVar("Given")
Made = TypeVar("Made")


class BrokenImageError(ValueError):
    """A file that cannot be read as an image; the message names it and says why."""


def decode(content: bytes, path: Path, size: int) -> np.ndarray:
    """The `middle_square` of what a file held when it was read.

    Raises BrokenImageError for one that is empty, truncated, no image, or larger than MAX_PIXELS.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, a decompression bomb?")
            image.draft(None, (2 * size, 2 * size))  # lets JPEG skip detail that is averaged away
            with _ROOM.for_pixels(image.width * image.height):
                return middle_square(image, size)
    except Exception as error:  # a foreign parser on a foreign file may raise anything
        reason = (str(error) or type(error).__name__) if content else "the file is empty"
        if content and isinstance(error, UnidentifiedImageError):
            reason = "it is no image of a known format"
        raise BrokenImageError(f"{path}: {reason}") from error


def decode_file(path: Path, size: int) -> np.ndarray:
    """The `middle_square` of a file as it is now; raises BrokenImageError as `decode` does, and for
    one that cannot be opened."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BrokenImageError(f"{path}: {error.strerror}") from error
    return decode(content, path, size)


class _Room:
    """Pixels that may be decoded at once, in whichever thread."""

    def __init__(self, pixels: int):
        self._free, self._changed = pixels, threading.Condition()

    @contextlib.contextmanager
    def for_pixels(self, wanted: int) -> Iterator[None]:
        """Wait until there is room for so many, and have it."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()


_ROOM = _Room(MAX_PIXELS)


def middle_square(image: Image.Image, size: int) -> np.ndarray:
    """(3, size, size) uint8 of an open image: how every domain of foreign images resizes.

    The first frame, upright, on white where transparent; its middle square, resized with
    antialiasing.
    """
    upright = ImageOps.exif_transpose(_first_frame(image))
    square = ImageOps.fit(_rgb(upright), (size, size), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def decode_all(files: Iterable[ImageFile], size: int) -> Iterator[np.ndarray | BrokenImageError]:
    """Each file's image or what is wrong with it, in order, decoded on all cores, no more ahead
    than keeps them busy. Raises DataUnavailable for a file that is not what was listed."""

    def one(file: ImageFile) -> np.ndarray | BrokenImageError:
        try:
            return decode(file.read(), file.path, size)
        except BrokenImageError as error:
            return error

    yield from on_all_cores(one, files)


def decode_files(paths: Iterable[Path], size: int) -> Iterator[np.ndarray | BrokenImageError]:
    """As `decode_all`, of files as they are now, whatever they were when they were listed."""

    def one(path: Path) -> np.ndarray | BrokenImageError:
        try:
            return decode_file(path, size)
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
