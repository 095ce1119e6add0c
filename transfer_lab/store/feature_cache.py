"""Arrays on disk that several processes fill row by row, each row once, and map into memory."""

from __future__ import annotations

import json
import math
import mmap
import os
import random
import shutil
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import numpy as np

from transfer_lab.system.files import write_atomically
from transfer_lab.system.sealed_json import opened, sealed

LIMIT = 20 * 2**30
"""Bytes that a store may hold on disk; what was used longest ago goes first."""
MEMORY_LIMIT = 2 * 2**30
"""Bytes of a single array where there is no disk to keep it."""
_RESERVE = 2**30

Compute = Callable[[np.ndarray], np.ndarray]


class Rows(NamedTuple):
    """An array in which the wanted rows are filled, and what computing those costs in seconds."""

    array: np.ndarray
    seconds: float


class NoRoomError(RuntimeError):
    """Rows that neither the disk nor the memory allowed for them can hold."""


class FeatureCache:
    """Float arrays by key, filled as rows are asked for.

    Rows carry a checksum of their own: what is absent or damaged is computed, whatever else the
    array holds. Several processes may fill one array at once; each begins at a place of its own
    and passes over what others have filled meanwhile. Without a folder, or where the disk refuses,
    an array lives in memory.
    """

    def __init__(self, folder: Path | None, limit: int = LIMIT):
        self.folder, self.limit = folder, limit

    def rows(
        self,
        *,
        key: str,
        shape: tuple[int, ...],
        wanted: np.ndarray,
        compute: Compute,
        batch: int,
    ) -> Rows:
        """The array with the `wanted` rows filled; `compute(indices)` gives missing ones, at most
        `batch` at a time. Raises NoRoomError if neither disk nor memory can hold them.

        A call is taken to cost as much as for a full batch: what a row costs is measured when the
        array is begun, and charged to all who want rows of it.
        """
        row = 4 * math.prod(shape[1:])
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                place = _OnDisk(self.folder, key, shape)
                self._make_room(row * len(place.lacking(wanted)), keep=key)
                return _fill(place, wanted, compute, batch)
            except OSError:
                pass  # a full or read-only disk costs the store, not the result
        if row * len(wanted) > MEMORY_LIMIT:
            raise NoRoomError(f"{row * len(wanted):,} bytes, and no disk to keep them")
        return _fill(_InMemory(shape), wanted, compute, batch)

    def _used(self) -> int:
        return sum(_size(path) for path in self.folder.glob("*.rows"))

    def _make_room(self, size: int, keep: str) -> None:
        room = min(self.limit - self._used(), shutil.disk_usage(self.folder).free - _RESERVE)
        for path in sorted(self.folder.glob("*.rows"), key=_last_use):
            if size <= room:
                return
            if path.stem != keep:
                room += _size(path)
                for suffix in _OnDisk.suffixes:
                    path.with_suffix(suffix).unlink(missing_ok=True)
        if size > room:
            raise OSError("no room")


class _Place(Protocol):
    """Where an array lies."""

    array: np.ndarray
    seconds_per_row: float | None

    def lacking(self, rows: np.ndarray) -> np.ndarray:
        """Those of the rows that are absent or damaged."""

    def put(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Store these rows."""

    def note(self, seconds_per_row: float) -> None:
        """Remember what a row costs, for all who find it here."""


class _InMemory:
    """One process's own."""

    def __init__(self, shape: tuple[int, ...]):
        # Pages that are not written take no memory; of an array from the heap they might.
        pages = mmap.mmap(-1, max(1, 4 * math.prod(shape)))
        self.array = np.frombuffer(pages, np.float32, math.prod(shape)).reshape(shape)
        self.seconds_per_row = None
        self._filled = np.zeros(len(self.array), bool)

    def lacking(self, rows: np.ndarray) -> np.ndarray:
        return rows[~self._filled[rows]]

    def put(self, rows: np.ndarray, values: np.ndarray) -> None:
        self.array[rows] = values
        self._filled[rows] = True

    def note(self, seconds_per_row: float) -> None:
        self.seconds_per_row = seconds_per_row


class _OnDisk:
    """`<key>.rows`, a sparse file; `<key>.sums`, a CRC-32 for each row; `<key>.json`, its cost.

    Written with pwrite and never through the map, and read through it only where rows were found
    whole: where the disk is full, or the file has holes, is then an error and not a signal.
    """

    suffixes = (".sums", ".json", ".rows")

    def __init__(self, folder: Path, key: str, shape: tuple[int, ...]):
        self._note = folder / f"{key}.json"
        self._width = 4 * math.prod(shape[1:])
        # Held open, so that what is put goes where the maps look, also when another process has
        # cleared the store meanwhile.
        self._data = _sized(folder / f"{key}.rows", shape[0] * self._width)
        self._sums = _sized(folder / f"{key}.sums", shape[0] * 4)
        os.utime(self._data.fileno())
        self.array = np.memmap(self._data, np.float32, "r", shape=shape)
        self._checked = np.zeros(shape[0], bool)
        self.seconds_per_row = self._noted()

    def lacking(self, rows: np.ndarray) -> np.ndarray:
        # Row by row through the arrays would take several times as long as the sums.
        unknown = rows[~self._checked[rows]]
        if len(unknown):
            sums = os.pread(self._sums.fileno(), 4 * len(self._checked), 0)
            known = np.frombuffer(sums, np.uint32)[unknown]
            for row, meant in zip(unknown.tolist(), known.tolist(), strict=True):
                self._checked[row] = meant != 0 and meant == _checksum(self._content(row))
        return rows[~self._checked[rows]]

    def put(self, rows: np.ndarray, values: np.ndarray) -> None:
        for row, value in zip(rows.tolist(), values, strict=True):
            content = np.ascontiguousarray(value, np.float32).tobytes()
            _write(self._data, content, row * self._width)
            _write(self._sums, np.uint32(_checksum(content)).tobytes(), row * 4)

    def note(self, seconds_per_row: float) -> None:
        self.seconds_per_row = seconds_per_row
        text = sealed({"of": self._note.stem, "seconds": seconds_per_row})
        write_atomically(self._note, lambda handle: handle.write(text))

    def _noted(self) -> float | None:
        """What a row costs; None where that is not known, was damaged or is another array's."""
        try:
            note = json.loads(opened(self._note.read_bytes()))
            return float(note["seconds"]) if note["of"] == self._note.stem else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _content(self, row: int) -> bytes:
        return os.pread(self._data.fileno(), self._width, row * self._width)


def _fill(place: _Place, wanted: np.ndarray, compute: Compute, batch: int) -> Rows:
    missing = place.lacking(wanted)
    if len(missing):
        chunks = [missing[i : i + batch] for i in range(0, len(missing), batch)]
        first = random.Random(os.getpid()).randrange(len(chunks))
        for chunk in chunks[first:] + chunks[:first]:
            still = place.lacking(chunk)
            if len(still):
                place.put(still, _timed(place, still, compute, batch))
        if len(place.lacking(wanted)):
            raise OSError("rows do not read back as they were written")
    if place.seconds_per_row is None and len(wanted):
        _timed(place, wanted[:batch], compute, batch)  # filled by others who left no note
    return Rows(place.array, (place.seconds_per_row or 0.0) * len(wanted))


def _timed(place: _Place, rows: np.ndarray, compute: Compute, batch: int) -> np.ndarray:
    start = time.perf_counter()
    values = compute(rows)
    if place.seconds_per_row is None:
        place.note((time.perf_counter() - start) / batch)
    return values


def _checksum(content: bytes) -> int:
    return zlib.crc32(content) or 1  # 0 says that there is nothing


def _sized(path: Path, size: int) -> BinaryIO:
    """A file of this size; one of another size was cut off, and is begun anew."""
    handle = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
    known = os.fstat(handle.fileno()).st_size
    if known != size:
        if known:
            os.ftruncate(handle.fileno(), 0)
        os.ftruncate(handle.fileno(), size)
    return handle


def _write(handle: BinaryIO, content: bytes, offset: int) -> None:
    if os.pwrite(handle.fileno(), content, offset) < len(content):
        raise OSError("the disk is full")


def _size(path: Path) -> int:
    """Bytes on disk, holes not counted."""
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def _last_use(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
