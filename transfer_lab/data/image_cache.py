"""Rendered or decoded images on disk: computed once, held against their checksum, memory-mapped by
every run and process."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from transfer_lab.system import sealed_array
from transfer_lab.system.sealed_array import Sealing, Stored

Blocks = Callable[[], Iterable[np.ndarray]]
"""Begins an array anew: its rows in order, some at a time."""


def stored_array(folder: Path | None, name: str, build: Callable[[], np.ndarray]) -> Stored:
    """The small array that `build` makes and the seconds that making it took, then or now.

    `name` is the hash of what determines it; a file that does not read back whole is built again.
    Without a folder, or where it cannot be written, the array lives in memory.
    """
    if folder is not None and (found := _found(folder, name)):
        return found
    start = time.perf_counter()
    array = build()
    seconds = time.perf_counter() - start
    if folder is not None:
        # A full or read-only disk costs the cache, not the result.
        with contextlib.suppress(OSError):
            sealed_array.put(folder, name, lambda handle: _whole(handle, array, seconds))
            return Stored(sealed_array.mapped(folder, name), seconds)
    return Stored(array, seconds)


def stored_images(folder: Path | None, name: str, shape: tuple[int, ...], blocks: Blocks) -> Stored:
    """The bytes that `blocks` make, of this shape, and the seconds that making them took, then or
    now; as `stored_array`, but never more than a block of them in memory.

    Written to a file and not through a map, since a full disk is then an error and not a signal.
    The images are made in memory where they cannot be stored.
    """
    if folder is not None:
        if found := _found(folder, name, shape):
            return found
        with contextlib.suppress(OSError):
            _make_room(folder, math.prod(shape))
            seconds = sealed_array.put(folder, name, lambda file: _write(file, shape, blocks()))
            return Stored(sealed_array.mapped(folder, name), seconds)
        if found := _found(
            folder, name, shape
        ):  # another process took the room, and for these images
            return found
    return in_memory(shape, blocks())


def in_memory(shape: tuple[int, ...], blocks: Iterable[np.ndarray]) -> Stored:
    """The bytes that the blocks hold, of this shape, and the seconds that making them took."""
    array, clock, done = np.empty(shape, np.uint8), _Clock(), 0
    for block in clock.checked(blocks, shape):
        array[done : done + len(block)] = block
        done += len(block)
    return Stored(array, clock.seconds)


def digest(key: object) -> str:
    """Hash of a key, for a file name."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]


class _Clock:
    """Seconds of making blocks, without what is done with them."""

    def __init__(self):
        self.seconds = 0.0

    def checked(self, blocks: Iterable[np.ndarray], shape: tuple[int, ...]) -> Iterator[np.ndarray]:
        """The blocks; raises ValueError unless they are bytes that add up to the shape."""
        count, start = 0, time.perf_counter()
        for block in blocks:
            self.seconds += time.perf_counter() - start
            if block.dtype != np.uint8 or block.shape[1:] != shape[1:]:
                raise ValueError(f"a block of {block.dtype} {block.shape} in images {shape}")
            count += len(block)
            yield block
            start = time.perf_counter()
        self.seconds += time.perf_counter() - start
        if count != shape[0]:
            raise ValueError(f"{count} images were made, and there are {shape[0]} labels")


def _found(folder: Path, name: str, shape: tuple[int, ...] | None = None) -> Stored | None:
    """What is stored, of this shape in bytes where one is named; None where it is absent, damaged,
    or from a time without checksums: either way it is built and replaced."""
    found = sealed_array.find(folder, name)
    if found is None or shape is None:
        return found
    is_wanted = found.array.shape == shape and found.array.dtype == np.uint8
    return found if is_wanted else None


def _whole(handle: Sealing, array: np.ndarray, seconds: float) -> float:
    np.save(handle, array, allow_pickle=False)
    return seconds


def _write(handle: Sealing, shape: tuple[int, ...], blocks: Iterable[np.ndarray]) -> float:
    """Byte for byte what numpy.save writes of the whole."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(handle, header)
    clock = _Clock()
    for block in clock.checked(blocks, shape):
        handle.write(np.ascontiguousarray(block).data)
    return clock.seconds


def _make_room(folder: Path, size: int) -> None:
    """Raises OSError where so much does not fit, before anything is made."""
    folder.mkdir(parents=True, exist_ok=True)
    if size > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
